package segue.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.Any;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import segue.offers.v1.LookupResponse;

/** Which status is which exception, and whether the same call can succeed later. */
class LookupExceptionTest {

  @ParameterizedTest
  @CsvSource({
    "INVALID_ARGUMENT,    InvalidRequest,   false",
    "UNAUTHENTICATED,     NotAuthenticated, false",
    "PERMISSION_DENIED,   NotAuthenticated, false",
    "RESOURCE_EXHAUSTED,  RateLimited,      true",
    "UNAVAILABLE,         Unavailable,      true",
    "DEADLINE_EXCEEDED,   TimedOut,         true",
    "FAILED_PRECONDITION, NothingPublished, false",
    "DATA_LOSS,           UnreadableOffers, false",
    "INTERNAL,            LookupException,  false",
  })
  void statusesAreExceptions(Status.Code status, String kind, boolean isRetryable) {
    LookupException error = LookupException.of(
      status.toStatus().withDescription("as the service says").asRuntimeException()
    );
    assertEquals(kind, error.getClass().getSimpleName());
    assertEquals(status, error.status());
    assertEquals(isRetryable, error.isRetryable());
    assertEquals(status + ": as the service says", error.getMessage());
    assertEquals(Optional.empty(), error.retryAfter());
  }

  @Test
  void anOutcomeThatIsNewerThanTheClientIsNoAnswer() {
    LookupResponse response = LookupResponse.newBuilder().setOutcomeValue(99).build();
    LookupException error = assertThrows(LookupException.class, () -> Answers.of(response));
    assertEquals(
      "UNIMPLEMENTED: the service answers outcome 99, which is newer than this client",
      error.getMessage()
    );
    assertFalse(error.isRetryable());
  }

  @Test
  void thePauseThatTheServiceAsksForIsKept() {
    RetryInfo info = RetryInfo.newBuilder()
      .setRetryDelay(com.google.protobuf.Duration.newBuilder().setSeconds(3).setNanos(500_000_000))
      .build();
    com.google.rpc.Status limited = com.google.rpc.Status.newBuilder()
      .setCode(Status.Code.RESOURCE_EXHAUSTED.value())
      .addDetails(Any.pack(info))
      .build();
    LookupException error = LookupException.of(StatusProto.toStatusRuntimeException(limited));
    assertEquals(Optional.of(Duration.ofMillis(3_500)), error.retryAfter());
  }
}
