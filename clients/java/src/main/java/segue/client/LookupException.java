package segue.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.Optional;

/**
 * A lookup without an answer. Show what you show when you know nothing of the account.
 *
 * <p>The client has tried again already, as its service config says. {@link #isRetryable} tells whether the same call
 * can succeed later; where the service said when, {@link #retryAfter} has it.
 */
public class LookupException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  private final Status.Code status;
  private final boolean retryable;
  private final Duration retryAfter;

  private LookupException(Status status, boolean retryable, Duration retryAfter, Throwable cause) {
    super(status.getCode() + ": " + status.getDescription(), cause);
    this.status = status.getCode();
    this.retryable = retryable;
    this.retryAfter = retryAfter;
  }

  /** gRPC's word for it. */
  public Status.Code status() {
    return status;
  }

  /** Whether the same call can succeed later, without anybody changing anything. */
  public boolean isRetryable() {
    return retryable;
  }

  /** How long the service asks to wait before the next try, where it said so. */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(retryAfter);
  }

  static LookupException of(StatusRuntimeException error) {
    Status status = error.getStatus();
    Duration retryAfter = retryAfter(error);
    return switch (status.getCode()) {
      case INVALID_ARGUMENT -> new InvalidRequest(status, retryAfter, error);
      case UNAUTHENTICATED, PERMISSION_DENIED -> new NotAuthenticated(status, retryAfter, error);
      case RESOURCE_EXHAUSTED -> new RateLimited(status, retryAfter, error);
      case UNAVAILABLE -> new Unavailable(status, retryAfter, error);
      case DEADLINE_EXCEEDED -> new TimedOut(status, retryAfter, error);
      case FAILED_PRECONDITION -> new NothingPublished(status, retryAfter, error);
      case DATA_LOSS -> new UnreadableOffers(status, retryAfter, error);
      default -> new LookupException(status, false, retryAfter, error);
    };
  }

  static LookupException unknownOutcome(int number) {
    Status status = Status.UNIMPLEMENTED.withDescription(
      "the service answers outcome " + number + ", which is newer than this client"
    );
    return new LookupException(status, false, null, null);
  }

  /** An impossible account id or too large a batch: mend the call. */
  public static final class InvalidRequest extends LookupException {

    private static final long serialVersionUID = 1L;

    InvalidRequest(Status status, Duration retryAfter, Throwable cause) {
      super(status, false, retryAfter, cause);
    }
  }

  /** No token, or one that the service does not know. */
  public static final class NotAuthenticated extends LookupException {

    private static final long serialVersionUID = 1L;

    NotAuthenticated(Status status, Duration retryAfter, Throwable cause) {
      super(status, false, retryAfter, cause);
    }
  }

  /** Over the caller's limit, for longer than the client waits. */
  public static final class RateLimited extends LookupException {

    private static final long serialVersionUID = 1L;

    RateLimited(Status status, Duration retryAfter, Throwable cause) {
      super(status, true, retryAfter, cause);
    }
  }

  /** The service cannot be reached, is overloaded or draining, or its store does not answer. */
  public static final class Unavailable extends LookupException {

    private static final long serialVersionUID = 1L;

    Unavailable(Status status, Duration retryAfter, Throwable cause) {
      super(status, true, retryAfter, cause);
    }
  }

  /** No answer within the client's timeout. */
  public static final class TimedOut extends LookupException {

    private static final long serialVersionUID = 1L;

    TimedOut(Status status, Duration retryAfter, Throwable cause) {
      super(status, true, retryAfter, cause);
    }
  }

  /** The service has no segments yet: whoever operates it has to publish a day. */
  public static final class NothingPublished extends LookupException {

    private static final long serialVersionUID = 1L;

    NothingPublished(Status status, Duration retryAfter, Throwable cause) {
      super(status, false, retryAfter, cause);
    }
  }

  /** What is stored of the account cannot be read: tell whoever operates the service. */
  public static final class UnreadableOffers extends LookupException {

    private static final long serialVersionUID = 1L;

    UnreadableOffers(Status status, Duration retryAfter, Throwable cause) {
      super(status, false, retryAfter, cause);
    }
  }

  /** What the service says beside the status, as {@code google.rpc} has it. */
  private static Duration retryAfter(StatusRuntimeException error) {
    try {
      for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
        if (detail.is(RetryInfo.class)) {
          com.google.protobuf.Duration delay = detail.unpack(RetryInfo.class).getRetryDelay();
          return Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
        }
      }
    } catch (InvalidProtocolBufferException unreadable) {
      return null;
    }
    return null;
  }
}
