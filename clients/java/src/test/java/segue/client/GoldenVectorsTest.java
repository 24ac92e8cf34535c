package segue.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.ByteString;
import com.google.protobuf.util.JsonFormat;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.HexFormat;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import segue.offers.v1.AccountOffers;

/** The bytes that every language agrees on. */
class GoldenVectorsTest {

  @TestFactory
  Stream<DynamicTest> rowKeys() throws IOException {
    return vectors("row_keys.json").map(vector -> {
      String accountId = vector.get("account_id").getAsString();
      return dynamicTest(abbreviated(accountId), () ->
        assertEquals(text(vector, "row_key_hex"), hex(OfferTable.rowKey(accountId)))
      );
    });
  }

  @TestFactory
  Stream<DynamicTest> decisionIds() throws IOException {
    return vectors("decision_ids.json").map(vector -> {
      String accountId = text(vector, "account_id");
      long generationMs = vector.get("generation_ms").getAsLong();
      String ruleId = text(vector, "rule_id");
      return dynamicTest(accountId + " " + generationMs + " " + ruleId, () ->
        assertEquals(text(vector, "decision_id"), OfferTable.decisionId(accountId, generationMs, ruleId))
      );
    });
  }

  @TestFactory
  Stream<DynamicTest> payloadsAreReadAndWrittenAlike() throws IOException {
    return vectors("payloads.json").map(vector ->
      dynamicTest(text(vector, "name"), () -> {
        ByteString payload = bytes(text(vector, "payload_hex"));
        if (vector.get("account").isJsonNull()) {
          assertEquals(ByteString.EMPTY, payload);
          return;
        }
        AccountOffers.Builder account = AccountOffers.newBuilder();
        JsonFormat.parser().merge(vector.get("account").toString(), account);
        assertEquals(account.build(), AccountOffers.parseFrom(payload));
        assertEquals(payload, account.build().toByteString());
      })
    );
  }

  @TestFactory
  Stream<DynamicTest> generations() throws IOException {
    return vectors("generations.json").map(vector -> {
      String day = text(vector, "segment_date");
      long attempt = vector.get("attempt").getAsLong();
      return dynamicTest(day + " attempt " + attempt, () -> {
        long generationMs = OfferTable.generationMs(bytes(text(vector, "pointer_value_hex")));
        assertEquals(vector.get("generation_ms").getAsLong(), generationMs);
        assertEquals(
          LocalDate.parse(day).atStartOfDay(ZoneOffset.UTC).toInstant().toEpochMilli() + attempt,
          generationMs
        );
      });
    });
  }

  private static Stream<JsonObject> vectors(String file) throws IOException {
    String json = Files.readString(Path.of(System.getenv("SEGUE_GOLDEN"), file));
    return StreamSupport.stream(JsonParser.parseString(json).getAsJsonArray().spliterator(), false).map(
      JsonElement::getAsJsonObject
    );
  }

  private static String text(JsonObject vector, String name) {
    return vector.get(name).getAsString();
  }

  private static String abbreviated(String accountId) {
    return accountId.length() > 40 ? accountId.length() + " characters" : accountId;
  }

  private static String hex(ByteString bytes) {
    return HexFormat.of().formatHex(bytes.toByteArray());
  }

  private static ByteString bytes(String hex) {
    return ByteString.copyFrom(HexFormat.of().parseHex(hex));
  }
}
