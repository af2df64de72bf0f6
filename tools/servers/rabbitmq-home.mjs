// A home for RabbitMQ that starts in a third of the time, and the tests start twenty nodes. A node loads a thousand modules
// and looks for each of them in ninety folders, one after the other, whatever paths it is given: it puts those of its
// plugins before them. So among these is one folder with links to all modules, the first that it looks into.
import { cpSync, existsSync, mkdirSync, readdirSync, realpathSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { findPrograms } from './provision.mjs';

/** Folders of plugins are looked into from the last to the first. */
const LOOKED_INTO_FIRST = 'zzz-all-modules';
/** Nothing enables them; `rabbitmq_prelaunch` is a part of the server. */
const NEVER_ENABLED = /^rabbitmq_(?!prelaunch)/;

/** Where the programs of such a home are; those given, where their plugins are not beside them. */
export function programsOfQuickHome(keeper, programs) {
  const sbin = path.dirname(realpathSync(path.join(programs, 'rabbitmq-server')));
  const installed = path.join(sbin, '..', 'plugins');
  if (!existsSync(installed)) return programs;
  const home = keeper.temporaryFolder('rabbitmq-home');
  const plugins = path.join(home, 'plugins');
  const modules = path.join(plugins, LOOKED_INTO_FIRST, 'ebin');
  mkdirSync(modules, { recursive: true });
  // They tell by their own place where the plugins are, so links will not do.
  cpSync(sbin, path.join(home, 'sbin'), { recursive: true, dereference: true });
  for (const name of namesIn(installed).filter((name) => !NEVER_ENABLED.test(name))) {
    symlinkSync(path.join(installed, name), path.join(plugins, name));
  }
  for (const file of [...modulesIn(plugins), ...modulesIn(applicationsOfErlang())]) {
    const link = path.join(modules, path.basename(file));
    if (!existsSync(link)) symlinkSync(file, link);
  }
  return path.join(home, 'sbin');
}

function applicationsOfErlang() {
  const folder = findPrograms(['erl']);
  return folder === undefined ? '' : path.join(path.dirname(realpathSync(path.join(folder, 'erl'))), '..', 'lib');
}

function modulesIn(applications) {
  return namesIn(applications)
    .map((name) => path.join(applications, name, 'ebin'))
    .flatMap((ebin) => namesIn(ebin).map((name) => path.join(ebin, name)))
    .filter((name) => name.endsWith('.beam'));
}

function namesIn(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
