import { readFileSync } from 'node:fs';
import type { ClientUnaryCall, ServiceError, requestCallback } from '@grpc/grpc-js';
import { credentials as Credentials, Metadata } from '@grpc/grpc-js';
import { answerOf } from './answers';
import { UnavailableError, failureOf } from './errors';
import type { Answer } from './offers';
import type { BatchLookupResponse__Output } from './generated/segue/offers/v1/BatchLookupResponse';
import type { LookupResponse__Output } from './generated/segue/offers/v1/LookupResponse';
import { OfferLookup, SERVICE_CONFIG } from './wire';

/** How a client reaches the service. */
export interface OfferClientOptions {
  /** Without TLS: for a service on this machine. */
  readonly plaintext?: boolean;
  /** The caller's token, sent with each call. */
  readonly token?: string;
  /** How long a lookup may take, tries included; 2,000 unless it is told otherwise. */
  readonly timeoutMs?: number;
  /** A PEM file of the authorities to trust instead of those that Node trusts. */
  readonly caFile?: string;
  /** PEM files of the certificate and key to show to a service that asks for one. */
  readonly clientCertificateFile?: string;
  readonly clientKeyFile?: string;
  /** A JSON file with another service config than the clients' own, for example one that hedges. */
  readonly serviceConfigFile?: string;
}

/** What may be told of one call. */
export interface CallOptions {
  /** Ends the call when it is aborted; the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

export const DEFAULT_TIMEOUT_MS = 2_000;
/** A day. gRPC ends the process over a deadline that is too far away for it. */
const LONGEST_TIMEOUT_MS = 86_400_000;

type Method<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { deadline: number },
  callback: requestCallback<Response>,
) => ClientUnaryCall;

/**
 * Asks the lookup service what to offer an account now: open one and keep it.
 *
 * Calls that fail for the moment are tried again within the timeout, as the client's service config says.
 */
export class OfferClient implements AsyncDisposable {
  readonly #stub: InstanceType<typeof OfferLookup>;
  readonly #metadata = new Metadata();
  readonly #timeoutMs: number;
  readonly #inFlight = new Set<Promise<unknown>>();
  #isClosed = false;

  /**
   * A client of the service at `address` (`host:port`, or a target of gRPC's name resolution), over TLS unless it is
   * told otherwise. It connects when it is first asked.
   *
   * @throws RangeError the timeout is not positive or more than a day
   * @throws TypeError the token can be in no header
   * @throws Error a file cannot be read
   */
  constructor(address: string, options: OfferClientOptions = {}) {
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    if (!(this.#timeoutMs > 0 && this.#timeoutMs <= LONGEST_TIMEOUT_MS)) {
      throw new RangeError(`a timeout of ${this.#timeoutMs} ms`);
    }
    if (options.token !== undefined) this.#metadata.set('authorization', bearer(options.token));
    const pem = (file?: string) => (file === undefined ? null : readFileSync(file));
    const { serviceConfigFile } = options;
    const credentials = options.plaintext
      ? Credentials.createInsecure()
      : Credentials.createSsl(
          pem(options.caFile),
          pem(options.clientKeyFile),
          pem(options.clientCertificateFile),
        );
    this.#stub = new OfferLookup(address, credentials, {
      'grpc.service_config':
        serviceConfigFile === undefined ? SERVICE_CONFIG : readFileSync(serviceConfigFile, 'utf8'),
      'grpc.service_config_disable_resolution': 1,
      // a batch may have more than gRPC's 4 MiB in answers
      'grpc.max_receive_message_length': -1,
      // gRPC's own two minutes would outlast a long outage of the service by as much
      'grpc.max_reconnect_backoff_ms': 5_000,
      // a router that forgets a connection sends no reset: calls would wait for TCP to give up
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
    });
  }

  /**
   * What to offer one account now.
   *
   * @throws LookupError there is no answer; its class and `isRetryable` say what to do
   */
  async lookup(accountId: string, options: CallOptions = {}): Promise<Answer> {
    const request = { accountId };
    return answerOf(
      await this.#call<typeof request, LookupResponse__Output>(this.#stub.Lookup, request, options),
    );
  }

  /**
   * What to offer several accounts now: one answer each, in the order asked, all from one generation.
   *
   * @throws LookupError as `lookup`; also for more accounts than the service takes in one batch
   */
  async lookupAll(accountIds: readonly string[], options: CallOptions = {}): Promise<Answer[]> {
    const request = { accountIds: [...accountIds] };
    const response = await this.#call<typeof request, BatchLookupResponse__Output>(
      this.#stub.BatchLookup,
      request,
      options,
    );
    return response.answers.map(answerOf);
  }

  /** Takes no more calls, waits for those on their way, and ends the connection. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#inFlight);
    this.#stub.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    { signal }: CallOptions,
  ): Promise<Response> {
    signal?.throwIfAborted();
    if (this.#isClosed) throw new UnavailableError('UNAVAILABLE', 'this client is closed');
    const answered = new Promise<Response>((resolve, reject) => {
      const deadline = Date.now() + this.#timeoutMs;
      const told = (error: ServiceError | null, response?: Response) => {
        signal?.removeEventListener('abort', cancel);
        if (error !== null) reject(signal?.aborted ? signal.reason : failureOf(error));
        else resolve(response as Response);
      };
      const call = method.call(this.#stub, request, this.#metadata, { deadline }, told);
      const cancel = () => call.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
    });
    this.#inFlight.add(answered);
    try {
      return await answered;
    } finally {
      this.#inFlight.delete(answered);
    }
  }
}

function bearer(token: string): string {
  // without the token, which is a secret and which gRPC would show
  if (!/^[\x20-\x7e]*$/.test(token)) {
    throw new TypeError('the token has a line break or another character that no header can have');
  }
  return `Bearer ${token}`;
}
