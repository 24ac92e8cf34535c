package segue.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;

class OfferClientTest {

  @Test
  void aTimeoutIsPositiveAndAtMostADay() {
    for (Duration timeout : List.of(Duration.ZERO, Duration.ofSeconds(Long.MAX_VALUE))) {
      assertThrows(IllegalArgumentException.class, () -> OfferClient.builder("a:1").timeout(timeout));
    }
  }

  @Test
  void aTokenThatCanBeInNoHeaderIsRefusedAndNotTold() {
    for (String token : List.of("secret\n", "s\u00e9cret")) {
      Throwable refused = assertThrows(IllegalArgumentException.class, () ->
        OfferClient.builder("a:1").token(token)
      );
      assertEquals(
        "the token has a line break or another character that no header can have",
        refused.getMessage()
      );
    }
  }

  @Test
  void afterClosingNobodyIsAsked() {
    OfferClient client = OfferClient.builder("127.0.0.1:1").plaintext().build();
    client.close();
    assertThrows(LookupException.Unavailable.class, () -> client.lookup("a"));
  }

  @Test
  void anIdThatIsNoUtf8IsRefusedAndNotAskedAsAnother() {
    try (OfferClient client = OfferClient.builder("127.0.0.1:1").plaintext().build()) {
      assertThrows(LookupException.InvalidRequest.class, () -> client.lookup("a\ud83c"));
      assertThrows(LookupException.InvalidRequest.class, () -> client.lookupAll(List.of("a", "\ud83c")));
      Throwable async = assertThrows(CompletionException.class, () -> client.lookupAsync("a\ud83c").join());
      assertInstanceOf(LookupException.InvalidRequest.class, async.getCause());
    }
  }

  @Test
  void cancellingEndsTheCall() throws IOException {
    try (ServerSocket silent = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      OfferClient client = OfferClient.builder("127.0.0.1:" + silent.getLocalPort())
        .plaintext()
        .timeout(Duration.ofMinutes(1))
        .build();
      CompletableFuture<Answer> asked = client.lookupAsync("a");
      asked.cancel(true);
      assertThrows(CancellationException.class, asked::join);
      // otherwise closing would wait a minute for the call
      long closing = System.nanoTime();
      client.close();
      assertEquals(0, Duration.ofNanos(System.nanoTime() - closing).toMinutes());
    }
  }
}
