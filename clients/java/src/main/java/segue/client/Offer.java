package segue.client;

import java.time.Instant;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * One offer of an account, and why it was chosen.
 *
 * @param offerId the offer to be shown
 * @param ruleId the rule that chose it
 * @param ruleVersion which version of that rule
 * @param priority lower comes first; offers are already in order
 * @param score of the rule's model, where it has one; none differs from a score of 0
 * @param reasonCode why the rule chose it
 * @param experiment the experiment and arm that the account is in, where the offer is under one
 * @param content what to show, where the offer has an entry in the content system
 * @param validUntil the offer is not shown from this instant on; empty: it does not run out by itself
 * @param decisionId the name of this decision: log it with what is shown, and with what is held back
 */
public record Offer(
  String offerId,
  String ruleId,
  int ruleVersion,
  int priority,
  OptionalDouble score,
  String reasonCode,
  Optional<Experiment> experiment,
  Optional<Content> content,
  Optional<Instant> validUntil,
  String decisionId
) {
  /**
   * The arm that an account is in.
   *
   * @param experimentId the experiment
   * @param variant the arm
   */
  public record Experiment(String experimentId, String variant) {}

  /**
   * An entry of the content system.
   *
   * @param contentId the entry
   * @param version which version of it
   * @param locale BCP 47; empty where the loader named none
   */
  public record Content(String contentId, int version, String locale) {}
}
