import { expect, test } from 'vitest';
import { explainTlsError } from './tls-error.ts';

const ways = { authority: 'the CA', client: 'the pair', plain: 'leave TLS out' };
const errorOf = (code: string, message = 'words'): Error => Object.assign(new Error(message), { code });
const openssl = (reason: string): string =>
  `80CC8659EB7F0000:error:0A00045C:SSL routines:ssl3_read_bytes:${reason}:../deps/openssl/ssl/rec_layer_s3.c:1601:SSL alert number 116\n`;

test.each([
  ['SELF_SIGNED_CERT_IN_CHAIN', 'words', 'NODE_EXTRA_CA_CERTS'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'words', 'as the CA'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'words', 'as the CA'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'words', 'as the CA'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', "IP: 127.0.0.1 is not in the cert's list: ", 'connect by a name'],
  ['CERT_HAS_EXPIRED', 'words', 'renew it'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', openssl('wrong version number'), 'leave TLS out'],
  ['EPROTO', `write EPROTO ${openssl('wrong version number')}`, 'leave TLS out'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', openssl('tlsv13 alert certificate required'), 'as the pair'],
  ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', openssl('sslv3 alert bad certificate'), 'as the pair'],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', openssl('tlsv1 alert unknown ca'), 'as the pair'],
  ['ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', openssl('sslv3 alert handshake failure'), 'as the pair'],
  ['ERR_OSSL_PEM_NO_START_LINE', 'error:0480006C:PEM routines::no start line', 'see the pair'],
])('%s says what to do', (code, message, advice) => {
  const text = explainTlsError(errorOf(code, message), ways);
  expect(text).toContain(advice);
  expect(text).toContain(`(${code})`);
});

test('what OpenSSL says of itself is left out', () => {
  const code = 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION';
  const text = explainTlsError(errorOf(code, openssl('tlsv1 alert protocol version')), ways);
  expect(text).toBe(`tlsv1 alert protocol version (${code})`);
});

test.each([errorOf('ECONNRESET'), errorOf('ETIMEDOUT'), new Error('certificate'), 'CERT_HAS_EXPIRED', undefined])(
  '%s is none',
  (thrown) => {
    expect(explainTlsError(thrown, ways)).toBeUndefined();
  },
);
