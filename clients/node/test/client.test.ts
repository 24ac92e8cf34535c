import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import type { ServiceError } from '@grpc/grpc-js';
import { Metadata, status as Status } from '@grpc/grpc-js';
import { answerOf } from '../src/answers';
import { OfferClient } from '../src/index';
import type { StatusName } from '../src/errors';
import { failureOf } from '../src/errors';

const FAILURES: [StatusName, string, boolean][] = [
  ['INVALID_ARGUMENT', 'InvalidRequestError', false],
  ['UNAUTHENTICATED', 'NotAuthenticatedError', false],
  ['PERMISSION_DENIED', 'NotAuthenticatedError', false],
  ['RESOURCE_EXHAUSTED', 'RateLimitedError', true],
  ['UNAVAILABLE', 'UnavailableError', true],
  ['DEADLINE_EXCEEDED', 'LookupTimeoutError', true],
  ['FAILED_PRECONDITION', 'NothingPublishedError', false],
  ['DATA_LOSS', 'UnreadableOffersError', false],
  ['INTERNAL', 'LookupError', false],
];

/** A google.rpc.Status of RESOURCE_EXHAUSTED with a RetryInfo. */
const THREE_AND_A_HALF_SECONDS = Buffer.concat([
  Buffer.from('08081a360a28', 'hex'),
  Buffer.from('type.googleapis.com/google.rpc.RetryInfo'),
  Buffer.from('120a0a0808031080cab5ee01', 'hex'),
]);

function failed(status: StatusName, metadata = new Metadata()): ServiceError {
  const told = { code: Status[status], details: 'as the service says', metadata };
  return Object.assign(new Error(), told);
}

describe('a status is an error', () => {
  for (const [status, name, isRetryable] of FAILURES) {
    test(`${status}: ${name}`, () => {
      const error = failureOf(failed(status));
      assert.deepEqual(
        [error.name, error.status, error.isRetryable, error.message, error.retryAfterMs],
        [name, status, isRetryable, `${status}: as the service says`, undefined],
      );
    });
  }

  test('with the pause that the service asks for', () => {
    const metadata = new Metadata();
    metadata.set('grpc-status-details-bin', THREE_AND_A_HALF_SECONDS);
    assert.equal(failureOf(failed('RESOURCE_EXHAUSTED', metadata)).retryAfterMs, 3_500);
  });
});

test('an outcome that is newer than the client is no answer', () => {
  // as proto-loader gives a number without a name
  const outcome = 99 as never;
  assert.throws(() => answerOf({ accountId: 'a', generationMs: 1, account: null, outcome }), {
    name: 'LookupError',
    message: 'UNIMPLEMENTED: the service answers outcome 99, which is newer than this client',
    isRetryable: false,
  });
});

test('a timeout is positive and at most a day', () => {
  for (const timeoutMs of [0, NaN, Infinity, 1e15]) {
    assert.throws(() => new OfferClient('a:1', { timeoutMs }), RangeError);
  }
});

test('a token that can be in no header is refused and not told', () => {
  for (const token of ['secret\n', 'sécret']) {
    assert.throws(() => new OfferClient('a:1', { token }), {
      name: 'TypeError',
      message: 'the token has a line break or another character that no header can have',
    });
  }
});

test('after closing nobody is asked', async () => {
  const client = new OfferClient('127.0.0.1:1', { plaintext: true });
  await client.close();
  await assert.rejects(client.lookup('a'), { name: 'UnavailableError', isRetryable: true });
});

test('aborting ends the call', async () => {
  const connected: Socket[] = [];
  const silent = createServer((socket) => connected.push(socket));
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  const { port } = silent.address() as AddressInfo;
  const client = new OfferClient(`127.0.0.1:${port}`, { plaintext: true, timeoutMs: 60_000 });
  const aborting = new AbortController();
  setTimeout(() => aborting.abort(new Error('not wanted any more')), 20);
  await assert.rejects(client.lookup('a', { signal: aborting.signal }), { message: 'not wanted any more' });
  // otherwise closing would wait a minute for the call
  await client.close();
  silent.close();
  for (const socket of connected) socket.destroy();
});
