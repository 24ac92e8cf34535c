package segue.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.google.gson.Gson;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Asks a running service what the clients of every language ask it, and gets the same. */
class ScenariosTest {

  /** What is asked, {@code times} times by turns with waiting and without, and what comes back each time. */
  record Scenario(
    String name,
    String address,
    String token,
    double timeout_seconds,
    String service_config,
    String ca_file,
    String client_certificate_file,
    String client_key_file,
    List<String> account_ids,
    boolean is_batch,
    int times,
    List<Expected> answers,
    Refusal refusal
  ) {}

  record Expected(
    String account_id,
    String outcome,
    List<String> offers,
    List<String> held_back,
    String suppressed_reason
  ) {}

  record Refusal(String status, boolean is_retryable, boolean is_told_when) {}

  @TestFactory
  Stream<DynamicTest> scenarios() throws IOException {
    String file = System.getenv("SEGUE_SCENARIOS");
    assumeTrue(file != null, "no service to ask: SEGUE_SCENARIOS names no scenarios");
    Scenario[] scenarios = new Gson().fromJson(Files.readString(Path.of(file)), Scenario[].class);
    return Arrays.stream(scenarios).map(each -> dynamicTest(each.name(), () -> play(each)));
  }

  private static void play(Scenario scenario) throws IOException {
    try (OfferClient client = client(scenario)) {
      for (int time = 0; time < scenario.times(); time++) {
        boolean isWaiting = time % 2 == 0;
        if (scenario.refusal() == null) {
          assertEquals(scenario.answers(), told(isWaiting ? ask(client, scenario) : asked(client, scenario)));
        } else {
          LookupException refused = isWaiting
            ? assertThrows(LookupException.class, () -> ask(client, scenario))
            : (LookupException) assertThrows(CompletionException.class, () ->
                asked(client, scenario)
              ).getCause();
          assertEquals(
            scenario.refusal(),
            new Refusal(refused.status().name(), refused.isRetryable(), refused.retryAfter().isPresent())
          );
        }
      }
    }
  }

  private static OfferClient client(Scenario scenario) throws IOException {
    OfferClient.Builder builder = OfferClient.builder(scenario.address()).timeout(
      Duration.ofMillis(Math.round(scenario.timeout_seconds() * 1_000))
    );
    if (scenario.token() != null) {
      builder.token(scenario.token());
    }
    if (scenario.service_config() != null) {
      builder.serviceConfig(Path.of(scenario.service_config()));
    }
    if (scenario.ca_file() == null) {
      builder.plaintext();
    } else {
      builder.trust(Path.of(scenario.ca_file()));
    }
    if (scenario.client_certificate_file() != null) {
      builder.clientCertificate(
        Path.of(scenario.client_certificate_file()),
        Path.of(scenario.client_key_file())
      );
    }
    return builder.build();
  }

  private static List<Answer> ask(OfferClient client, Scenario scenario) {
    return scenario.is_batch()
      ? client.lookupAll(scenario.account_ids())
      : scenario.account_ids().stream().map(client::lookup).toList();
  }

  private static List<Answer> asked(OfferClient client, Scenario scenario) {
    return scenario.is_batch()
      ? client.lookupAllAsync(scenario.account_ids()).join()
      : scenario
          .account_ids()
          .stream()
          .map(each -> client.lookupAsync(each).join())
          .toList();
  }

  private static List<Expected> told(List<Answer> answers) {
    List<Expected> told = new ArrayList<>();
    for (Answer answer : answers) {
      told.add(
        new Expected(
          answer.accountId(),
          answer.outcome().name().toLowerCase(),
          ids(answer, answer.offers()),
          ids(answer, answer.heldBack()),
          answer instanceof Answer.Suppressed suppressed ? suppressed.reason() : null
        )
      );
    }
    return told;
  }

  private static List<String> ids(Answer answer, List<Offer> offers) {
    for (Offer offer : offers) {
      assertEquals(
        OfferTable.decisionId(answer.accountId(), answer.generationMs(), offer.ruleId()),
        offer.decisionId()
      );
    }
    return offers.stream().map(Offer::offerId).toList();
  }
}
