"""What the plan of the rules looks like: whole ids in 80 columns, and a comment on a pull request."""

from __future__ import annotations

from datetime import date

from cli.plan_report import lines, markdown
from runs.plan_effects import ContentFlaw, Move, Overlap, Plan, RulePlan, Taking, Yielding
from runs.rule_unknowns import Unknown
from segments.steps import Reason

DAY = date(2026, 3, 5)
LONG = "winback_of_everybody_who_left_in_the_last_quarter_by_payment_fail"
OTHER = "annual_switch_for_loyal_monthly_payers_of_the_family_and_duo_pla"


def rule_plan(rule_id: str, **values: object) -> RulePlan:
    counts = {"qualifying": 0, "now": 0, "control": 0, "before": 0, "gained": 0, "lost": 0}
    known = {"version": 1, "version_before": 1, "content_refusals": {}, "remark": None}
    return RulePlan(rule_id, **(counts | known | values))  # type: ignore[arg-type]


def plan(*rules: RulePlan, **values: object) -> Plan:
    nothing: dict[str, object] = dict.fromkeys(
        ("overlaps", "moves", "takings", "yieldings", "contents", "unknowns"), ()
    )
    return Plan(day=DAY, accounts=290_000_000, with_offers=2, with_offers_before=1, rules=rules,
                **(nothing | values))  # type: ignore[arg-type]  # fmt: skip


def move(rule_id: str, to_rule_id: str | None, because: Reason | None, accounts: int) -> Move:
    offer = f"offer-of-{to_rule_id}" if to_rule_id else None
    return Move(rule_id, f"offer-of-{rule_id}", because, to_rule_id, offer, is_shown=True, accounts=accounts)


EVERYTHING = plan(
    rule_plan(
        LONG, version=2, qualifying=290_000_000, now=2, control=1, before=1, gained=1,
        content_refusals={"CONTENT_EXPIRED": 95},
    ),
    rule_plan(OTHER, version=None, before=1, lost=1, remark="no active rule any more"),
    overlaps=(Overlap(LONG, OTHER, 12, is_exclusive=True),),
    moves=(move(OTHER, LONG, Reason.LOST_EXCLUSIVITY, 1_200), move(OTHER, None, None, 1)),
    takings=(Taking(LONG, OTHER, 3, "control"),),
    yieldings=(Yielding(LONG, OTHER, 3),),
    contents=(ContentFlaw(LONG, f"entry-{LONG}", "en-US", Reason.CONTENT_EXPIRED),),
    unknowns=(Unknown(LONG, "audience.all[0].equals", "XX", "no account has the market XX"),),
)  # fmt: skip


def test_in_80_columns_no_id_is_cut_and_every_number_is_there() -> None:
    """What is longer than a line goes on in the next; nothing is broken inside a word."""
    assert list(lines(EVERYTHING, 80)) == [
        "2026-03-05: 2 of 290,000,000 accounts with offers, 1 before",
        "",
        " version     qualify         now     control      before      gained        lost",
        LONG,
        "   1 → 2 290,000,000           2           1           1           1           0",
        "    95 CONTENT_EXPIRED",
        OTHER,
        "   1 → –           0           0           0           1           0           1",
        "    no active rule any more",
        "",
        "What accounts get instead",
        f"  {LONG} takes 1,200",
        "    accounts from",
        f"    {OTHER}: they get",
        f"    offer-of-{LONG}",
        "    instead of",
        f"    offer-of-{OTHER}",
        f"  {OTHER} loses 1",
        "    account (it is not active): they get nothing instead of",
        f"    offer-of-{OTHER}",
        "",
        "Places that are taken and shown nothing in, or left",
        f"  {LONG} takes 3",
        "    accounts from",
        f"    {OTHER} and shows",
        "    nothing (control arm)",
        f"  {LONG} leaves 3",
        "    accounts to",
        f"    {OTHER}: its",
        "    content cannot be shown",
        "",
        "Who qualifies for two rules",
        "  12 accounts qualify for",
        f"    {LONG} and",
        f"    {OTHER}: one of",
        "    them wins",
        "",
        "Content that cannot be shown",
        f"  {LONG}:",
        f"    entry-{LONG} in",
        "    en-US is expired, or not valid yet",
        "",
        "What nobody else knows",
        f"  {LONG}:",
        "    audience.all[0].equals: no account has the market XX",
    ]


def test_no_line_but_a_single_word_is_wider_than_the_terminal() -> None:
    for width in (80, 100, 160):
        for line in lines(EVERYTHING, width):
            assert len(line) <= width or " " not in line.strip(), line


def test_a_section_that_has_nothing_to_say_is_left_out() -> None:
    assert list(lines(plan(rule_plan("quiet")), 80)) == [
        "2026-03-05: 2 of 290,000,000 accounts with offers, 1 before",
        "",
        " version     qualify         now     control      before      gained        lost",
        "quiet",
        "       1           0           0           0           0           0           0",
    ]


def test_markdown_is_a_table_and_lists_as_github_reads_them() -> None:
    long, other = LONG.replace("_", r"\_"), OTHER.replace("_", r"\_")

    assert (
        markdown(EVERYTHING)
        == f"""\
### Offer rules on 2026-03-05: 2 of 290,000,000 accounts with offers, 1 before

| rule | version | qualify | now | control | before | gained | lost | remarks |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |
| `{LONG}` | 1 → 2 | 290,000,000 | 2 | 1 | 1 | 1 | 0 | 95 CONTENT\_EXPIRED |
| `{OTHER}` | 1 → – | 0 | 0 | 0 | 1 | 0 | 1 | no active rule any more |

**What accounts get instead**

- {long} takes 1,200 accounts from {other}: they get offer-of-{long} instead of offer-of-{other}
- {other} loses 1 account (it is not active): they get nothing instead of offer-of-{other}

**Places that are taken and shown nothing in, or left**

- {long} takes 3 accounts from {other} and shows nothing (control arm)
- {long} leaves 3 accounts to {other}: its content cannot be shown

**Who qualifies for two rules**

- 12 accounts qualify for {long} and {other}: one of them wins

**Content that cannot be shown**

- {long}: entry-{long} in en-US is expired, or not valid yet

**What nobody else knows**

- {long}: audience.all\[0\].equals: no account has the market XX
"""
    )


def test_every_row_of_the_table_has_as_many_cells_whatever_is_in_them() -> None:
    table = markdown(plan(rule_plan("odd", remark="a | b")))

    assert [line for line in table.splitlines() if line.startswith("| `odd`")] == [
        r"| `odd` | 1 | 0 | 0 | 0 | 0 | 0 | 0 | a \| b |"
    ]


def test_whoever_gets_the_same_offer_by_another_rule_gets_it_as_before() -> None:
    same = Move("old", "trial", Reason.LOST_EXCLUSIVITY, "new", "trial", is_shown=True, accounts=2)

    assert str(same) == "new takes 2 accounts from old: they get trial as before"


def test_more_pairs_than_anybody_reads_are_counted() -> None:
    pairs = tuple(Overlap("a", f"b{number}", 1, is_exclusive=False) for number in range(17))

    assert list(lines(plan(overlaps=pairs), 80))[-2:] == [
        "  1 account qualifies for a and b14: both can be offered",
        "  and 2 pairs more, all in --json",
    ]
