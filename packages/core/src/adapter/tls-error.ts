/** What an adapter calls the things that mend an encrypted connection; parts of a sentence. */
export interface TlsWays {
  /** Where the certificate of an authority is given, such as `tls.ca`. */
  readonly authority: string;
  /** Where a certificate of the client is given, such as `tls.cert and tls.key`. */
  readonly client: string;
  /** What to do at a port that does not speak TLS, such as `use port 5671, or amqp:`. */
  readonly plain: string;
}

interface Meaning {
  /** Looked for in the code and the message, in small letters with blanks. */
  readonly signs: RegExp;
  readonly what: string;
  readonly fix: (ways: TlsWays) => string;
}

/** Codes of Node and OpenSSL for what the configuration of one side causes: waiting does not help. */
const codes =
  /^(ERR_TLS_|ERR_SSL_|ERR_OSSL|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT|UNABLE_TO_|CERT_|CRL_|HOSTNAME_MISMATCH$|INVALID_(CA|PURPOSE)$|EPROTO$)/;

const meanings: readonly Meaning[] = [
  {
    signs: /^(depth zero )?self signed cert|^unable to (get issuer|verify)|^cert untrusted|^invalid ca/,
    what: "nobody this process knows has signed the server's certificate",
    fix: ({ authority }) =>
      `give the certificate of its authority (PEM) as ${authority}, or start the process with the file in NODE_EXTRA_CA_CERTS`,
  },
  {
    signs: /^(err tls cert altname invalid|hostname mismatch)/,
    what: "the server's certificate is for another host",
    fix: () => 'connect by a name that stands in it',
  },
  {
    signs: /^cert (has expired|not yet valid)/,
    what: "the server's certificate is not valid now",
    fix: () => 'renew it, or set the clock of this machine',
  },
  {
    signs: /wrong version number|packet length too long|http request/,
    what: 'the server does not speak TLS at this port',
    fix: ({ plain }) => plain,
  },
  {
    signs: /alert (certificate|(bad|no|unsupported) certificate|unknown ca|access denied|handshake failure)/,
    what: 'the server does not take this client: it wants a certificate, or another one',
    fix: ({ client }) => `give one that its authority has signed (PEM) as ${client}`,
  },
  {
    signs: /^err ossl/,
    what: 'a certificate or key of this client cannot be used',
    fix: ({ client, authority }) => `see ${client}, and ${authority}`,
  },
];

/** What is wrong with an encrypted connection, and what to do about it. `undefined` for errors of any other kind. */
export function explainTlsError(thrown: unknown, ways: TlsWays): string | undefined {
  const { code, message } = thrown instanceof Error ? (thrown as Error & { code?: unknown }) : {};
  if (typeof code !== 'string' || message === undefined || !codes.test(code)) return undefined;
  const said = `${inShort(message)} (${code})`;
  const signs = `${code} ${message}`.toLowerCase().replaceAll('_', ' ');
  const meaning = meanings.find((each) => each.signs.test(signs));
  return meaning === undefined ? said : `${meaning.what}: ${said}; ${meaning.fix(ways)}`;
}

/** OpenSSL tells which line of its source was not content, and that between colons. */
function inShort(message: string): string {
  return /error:[0-9a-f]+:[^:]*:[^:]*:([^:]+)/i.exec(message)?.[1] ?? message.trim();
}
