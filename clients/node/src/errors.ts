import type { Metadata, ServiceError } from '@grpc/grpc-js';
import { status as Status } from '@grpc/grpc-js';
import { retryAfterMs } from './wire';

/** gRPC's words for why there is no answer. */
export type StatusName = keyof typeof Status;

/**
 * A lookup without an answer. Show what you show when you know nothing of the account.
 *
 * The client has tried again already, as its service config says. `isRetryable` tells whether the same call can
 * succeed later; where the service said when, `retryAfterMs` has it.
 */
export class LookupError extends Error {
  /** Whether the same call can succeed later, without anybody changing anything. */
  readonly isRetryable: boolean = false;

  constructor(
    readonly status: StatusName,
    details: string,
    readonly retryAfterMs?: number,
    options?: ErrorOptions,
  ) {
    super(`${status}: ${details}`, options);
    this.name = new.target.name;
  }
}

/** An impossible account id or too large a batch: mend the call. */
export class InvalidRequestError extends LookupError {}

/** No token, or one that the service does not know. */
export class NotAuthenticatedError extends LookupError {}

/** Over the caller's limit, for longer than the client waits. */
export class RateLimitedError extends LookupError {
  override readonly isRetryable = true;
}

/** The service cannot be reached, is overloaded or draining, or its store does not answer. */
export class UnavailableError extends LookupError {
  override readonly isRetryable = true;
}

/** No answer within the client's timeout. */
export class LookupTimeoutError extends LookupError {
  override readonly isRetryable = true;
}

/** The service has no segments yet: whoever operates it has to publish a day. */
export class NothingPublishedError extends LookupError {}

/** What is stored of the account cannot be read: tell whoever operates the service. */
export class UnreadableOffersError extends LookupError {}

const BY_STATUS: Partial<Record<StatusName, typeof LookupError>> = {
  INVALID_ARGUMENT: InvalidRequestError,
  UNAUTHENTICATED: NotAuthenticatedError,
  PERMISSION_DENIED: NotAuthenticatedError,
  RESOURCE_EXHAUSTED: RateLimitedError,
  UNAVAILABLE: UnavailableError,
  DEADLINE_EXCEEDED: LookupTimeoutError,
  FAILED_PRECONDITION: NothingPublishedError,
  DATA_LOSS: UnreadableOffersError,
};

/** A failed call as the error that says what to do about it. */
export function failureOf(error: ServiceError): LookupError {
  const status = Status[error.code] as StatusName;
  return new (BY_STATUS[status] ?? LookupError)(status, error.details, pauseIn(error.metadata), {
    cause: error,
  });
}

function pauseIn(metadata: Metadata | undefined): number | undefined {
  const [details] = metadata?.get('grpc-status-details-bin') ?? [];
  if (!Buffer.isBuffer(details)) return undefined;
  try {
    return retryAfterMs(details);
  } catch {
    // the status still stands; only what was said beside it is lost
    return undefined;
  }
}
