import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import Module from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ScriptedBroker } from '../test/scripted-broker.ts';
import type { Adapter } from './broker/broker.ts';
import { connect, registerAdapter } from './connect.ts';
import { UnavailableError } from './errors.ts';

function adapter(scheme: string, broker = new ScriptedBroker()): Adapter & { readonly urls: string[] } {
  const urls: string[] = [];
  return {
    name: scheme,
    schemes: [scheme],
    urls,
    connect: (url) => {
      urls.push(url);
      return broker;
    },
  };
}

describe('connect', () => {
  it.each([undefined, ''])('says what to set when the URL is %j', async (url) => {
    await expect(connect(url)).rejects.toMatchObject({
      code: 'CONFIGURATION',
      option: 'url',
      reason: 'missing-url',
      message: expect.stringContaining('MILLRACE_URL'),
    });
  });

  it.each(['here', '/var/lib', '//host/db', ':memory', '5:x', 'user@host/db', 'my db:x'])(
    'refuses %j, which has no scheme',
    async (url) => {
      await expect(connect(url)).rejects.toMatchObject({ code: 'CONFIGURATION', reason: 'unknown-scheme' });
    },
  );

  it('refuses what is no text', async () => {
    for (const url of [5, null, {}, new URL('postgres://host/db')]) {
      await expect(connect(url as never)).rejects.toMatchObject({ code: 'CONFIGURATION' });
    }
  });

  it('names the known schemes and the way out for an unknown one', async () => {
    await expect(connect('nonsense://user:hunter2@host/db')).rejects.toMatchObject({
      reason: 'unknown-scheme',
      message: expect.stringMatching(/no adapter for 'nonsense:' URLs; known are memory, postgres, .*registerAdapter/),
    });
  });

  it('never shows the rest of a URL (BAD-09)', async () => {
    const errors = await Promise.all(
      ['nonsense://u:hunter2@h', 'hunter2@host'].map((url) =>
        connect(url).then(
          () => 'connected',
          (error: Error) => `${error.message} ${JSON.stringify(error)}`,
        ),
      ),
    );
    expect(errors.join()).not.toMatch(/hunter2|connected/);
  });

  it('opens the broker of a registered adapter, whatever the case of the scheme', async () => {
    const broker = new ScriptedBroker();
    const mine = adapter('Mine+x.y-1', broker);
    registerAdapter(mine);
    expect(await connect('mine+X.y-1:where')).toBe(broker);
    expect(broker.opened).toBe(1);
    expect(mine.urls).toEqual(['mine+X.y-1:where']);
  });

  it('lets a later registration, and even more one passed with the call, replace an adapter', async () => {
    const [first, second, third] = [new ScriptedBroker(), new ScriptedBroker(), new ScriptedBroker()];
    registerAdapter(adapter('redis', first));
    registerAdapter(adapter('redis', second));
    expect(await connect('redis:')).toBe(second);
    expect(await connect('redis:', { adapters: [adapter('other'), adapter('redis', third)] })).toBe(third);
    expect(first.opened).toBe(0);
  });

  it('closes a broker that does not open, and says why it did not', async () => {
    const broker = new ScriptedBroker();
    broker.onOpen = async () => {
      throw new UnavailableError('down');
    };
    broker.onClose = async () => {
      throw new Error('and it does not close either');
    };
    await expect(connect('down:', { adapters: [adapter('down', broker)] })).rejects.toMatchObject({ message: 'down' });
    expect(broker.closed).toBe(1);
  });

  it('lets through what an adapter says about its URL', async () => {
    const picky: Adapter = {
      ...adapter('picky'),
      connect: () => {
        throw new UnavailableError('no such place');
      },
    };
    await expect(connect('picky:', { adapters: [picky] })).rejects.toMatchObject({ message: 'no such place' });
  });

  it.each([undefined, null, {}, { connect: () => {} }, { schemes: ['a'] }, { schemes: [], connect: () => {} }])(
    'refuses %j as an adapter',
    async (value) => {
      expect(() => registerAdapter(value as never)).toThrow(expect.objectContaining({ code: 'CONFIGURATION' }));
      await expect(connect('a:', { adapters: [value as never] })).rejects.toMatchObject({ reason: 'bad-adapter' });
    },
  );
});

describe('adapters of the family', () => {
  const before = process.cwd();
  const [, main = ''] = process.argv;
  let folder: string | undefined;
  const { NODE_PATH: nodePath = '' } = process.env;

  // Package managers set it, and this workspace has all adapters. Node reads it once, unless told to do so again.
  function setNodePath(value: string): void {
    process.env.NODE_PATH = value;
    (Module as unknown as { _initPaths(): void })._initPaths();
  }

  // The program's folder and the working directory are places where its packages are looked for.
  function emptyFolder(): string {
    folder = mkdtempSync(join(tmpdir(), 'millrace-connect-'));
    process.argv[1] = join(folder, 'main.js');
    setNodePath('');
    process.chdir(folder);
    return folder;
  }

  function install(name: string, source: string): void {
    const folder = emptyFolder();
    const home = join(folder, 'node_modules', name);
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'package.json'), JSON.stringify({ name, type: 'module', exports: './index.js' }));
    writeFileSync(join(home, 'index.js'), source);
  }

  afterEach(() => {
    process.chdir(before);
    process.argv[1] = main;
    setNodePath(nodePath);
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    folder = undefined;
  });

  it('are found beside the program', async () => {
    install(
      '@millrace/amqp',
      "export const adapter = { name: 'amqp', schemes: ['amqp'], connect: (url) => ({ url, open: async () => {} }) };",
    );
    expect(await connect('amqp://host')).toMatchObject({ url: 'amqp://host' });
  });

  it('have to be installed', async () => {
    emptyFolder();
    const refused = expect(connect('amqps://u:hunter2@host')).rejects;
    await refused.toMatchObject({
      code: 'CONFIGURATION',
      reason: 'adapter-missing',
      message: expect.stringMatching(/^(?!.*hunter2).*npm install @millrace\/amqp/),
      cause: expect.any(Error),
    });
  });

  it('may lack what they need themselves', async () => {
    install('@millrace/amqp', "import 'a-driver-nobody-installed';");
    await expect(connect('amqp://host')).rejects.toMatchObject({
      reason: 'adapter-broken',
      message: expect.stringContaining('peer dependencies'),
      cause: expect.any(Error),
    });
  });

  it('may be of another version', async () => {
    install('@millrace/amqp', 'export const somethingElse = 1;');
    await expect(connect('amqp://host')).rejects.toMatchObject({ reason: 'bad-adapter' });
  });
});
