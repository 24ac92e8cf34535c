package segue.client;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.HexFormat;
import segue.offers.v1.AccountOffers;

/**
 * The layout of the offers table, for programs that read it with Google's {@code BigtableDataClient}.
 *
 * <p>Read the pointer, then the account's row with a filter chain of family, column, timestamp range
 * {@code [0, (generation + 1) * 1000)} microseconds and one cell per column; {@link #read} tells what the cell means.
 * Callers of the service need none of this.
 */
public final class OfferTable {

  /** Family of the accounts' cells. */
  public static final String FAMILY = "o";
  /** Column of the accounts' cells. */
  public static final String QUALIFIER = "p";
  /** Row that says which generation is published. */
  public static final String POINTER_ROW_KEY = "!pointer";
  /** Family of that row. */
  public static final String POINTER_FAMILY = "p";
  /** Column of that row: 8 bytes, see {@link #generationMs}. */
  public static final String POINTER_GENERATION = "generation";
  /** Bigtable's limit of a row key, less the prefix. */
  public static final int MAX_ACCOUNT_ID_BYTES = 4_091;

  private static final int PREFIX_DIGITS = 4;
  private static final int DECISION_DIGITS = 32;

  private OfferTable() {}

  /**
   * The row of an account: the first four hex digits of the SHA-256 of its id, {@code #}, its id.
   *
   * @throws IllegalArgumentException the id is empty, too long, or cannot be written as UTF-8
   */
  public static ByteString rowKey(String accountId) {
    ByteString id = utf8(accountId);
    if (id.isEmpty()) {
      throw new IllegalArgumentException("an account id must not be empty");
    }
    if (id.size() > MAX_ACCOUNT_ID_BYTES) {
      throw new IllegalArgumentException(
        "an account id of " + id.size() + " bytes; at most " + MAX_ACCOUNT_ID_BYTES
      );
    }
    return ByteString.copyFromUtf8(sha256(id).substring(0, PREFIX_DIGITS) + "#").concat(id);
  }

  /** The generation, in milliseconds, that the pointer's 8 bytes name. */
  public static long generationMs(ByteString pointerValue) {
    return pointerValue.asReadOnlyByteBuffer().getLong();
  }

  /**
   * The name of a decision, to be logged with what is shown: 32 hex digits.
   *
   * @param generationMs the generation that answered, not the one that wrote the cell
   */
  public static String decisionId(String accountId, long generationMs, String ruleId) {
    return sha256(utf8(generationMs + "#" + ruleId + "#" + accountId)).substring(0, DECISION_DIGITS);
  }

  /**
   * What a cell means at an instant.
   *
   * @param cell the value, or {@code null} where there is no cell; an empty one is a tombstone
   * @param generationMs the published generation by which it was read
   * @throws InvalidProtocolBufferException the value is no {@code AccountOffers}
   */
  public static Answer read(String accountId, ByteString cell, long generationMs, Instant now)
    throws InvalidProtocolBufferException {
    if (cell == null || cell.isEmpty()) {
      return new Answer.Unknown(accountId, generationMs);
    }
    return Answers.judge(accountId, AccountOffers.parseFrom(cell), generationMs, now);
  }

  /** Half a character is refused: {@code String.getBytes} would make another account's key of it. */
  private static ByteString utf8(String text) {
    try {
      ByteBuffer encoded = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
      return ByteString.copyFrom(encoded);
    } catch (CharacterCodingException error) {
      throw new IllegalArgumentException("an account id must be encodable as UTF-8", error);
    }
  }

  private static String sha256(ByteString bytes) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(bytes.asReadOnlyByteBuffer());
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException error) {
      throw new AssertionError("every Java platform has SHA-256", error);
    }
  }
}
