/**
 * What the adapters' tests of encrypted connections share. It is not published: elsewhere than in this repository,
 * `@millrace/conformance/tls` does not exist.
 *
 * @module
 */
export { findSteadyPort } from '../../src/faults/free-port.ts';
export { runThroughBrokenLinks } from './broken-link.ts';
export { type Certificates, type Identity, makeCertificates, noCertificates } from './certificates.ts';
export { runEachTaskOnce } from './load.ts';
export { refusalOf } from './refusal.ts';
export { type ConnectRequest, runConnectProgram } from './run-connect-program.ts';
