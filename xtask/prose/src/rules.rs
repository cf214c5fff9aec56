//! The rules that a machine can check, as patterns over passages.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::COLUMNS;
use crate::passage::{Content, Kind, Passage};

/// Sentences of this many words or fewer are within the limit of rule R6.
pub const WORDS: usize = 25;

/// A kind of violation. `CONTRIBUTING.md` states the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// R1: a text opens with What, Whether, Who, Whose, Why, Where, When or How, and asks nothing.
    Opening,
    /// R1: "what" and a verb, used as a noun.
    WhatClause,
    /// R1: "who" without the person or program that it refers to.
    HeadlessWho,
    /// R3 and R4: words that name no actor, and words outside plain technical English.
    BannedWord,
    /// R6: a sentence of more than [`WORDS`] words.
    LongSentence,
    /// R10: a line of comment or document of more than [`COLUMNS`] columns.
    WideLine,
}

impl Measure {
    /// All measures, in the order of the report.
    pub const ALL: [Self; 6] = [
        Self::Opening,
        Self::WhatClause,
        Self::HeadlessWho,
        Self::BannedWord,
        Self::LongSentence,
        Self::WideLine,
    ];

    /// Returns the rule and the measure's name in `budgets.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opening => "R1 opening",
            Self::WhatClause => "R1 what-clause",
            Self::HeadlessWho => "R1 headless-who",
            Self::BannedWord => "R4 banned-word",
            Self::LongSentence => "R6 long-sentence",
            Self::WideLine => "R10 wide-line",
        }
    }

    /// Returns the rate to reach, per 1,000 lines. The first four lie near the rates of quinn,
    /// foca, openraft, mini-redis and ripgrep.
    pub fn aim(self) -> u32 {
        match self {
            Self::Opening => 30,
            Self::WhatClause | Self::BannedWord => 3,
            Self::HeadlessWho => 2,
            Self::LongSentence => 20,
            Self::WideLine => 0,
        }
    }
}

/// A violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind of the violation.
    pub measure: Measure,
    /// The number of the line in its file, from 1.
    pub line: usize,
    /// The words that violate the rule.
    pub excerpt: String,
    /// Another way to write it.
    pub suggestion: &'static str,
}

const OPENING: &str = r"^\W*(?:what|whether|who|whoever|whose|why|where|when|how)\b";

const WHAT_CLAUSE: &str = r"\bwhat(?:ever)? (?:already |also |just |never |now |only |otherwise |still )?(?:is|was|are|were|has|had|have|can|cannot|could|may|might|must|shall|should|will|would|does|did|answers|arrives|became|becomes|befalls|begins|belongs|came|comes|concerns|counts|depends|differs|ends|exists|fails|follows|gets|goes|grows|helps|holds|keeps|leads|made|makes|needs|passes|passed|reads|refuses|remains|rests|runs|says|serves|stands|starts|stays|stops|takes|tells|took|turns|uses|waited|waits|wakes|went|works)\b";

const HEADLESS_WHO: &str = r"\bwho(?:m|so)?ever\b|(?:^|[.:;(–—] )who\b|\b(?:and|are|as|at|but|by|for|from|if|in|is|of|on|or|than|that|to|was|were|with) who\b";

/// Words that are not used, and the plain ones that replace them.
const BANNED: [(&str, &str); 16] = [
    (r"for ever", "write `forever`, `without limit`, or the number"),
    (r"lest", "write `so that … not`"),
    (r"so many", "name the number, or write `this number of …`"),
    (
        r"so long",
        "name the time, or write `as long as`, `until` or `time limit for …`",
    ),
    (
        r"nobody(?:'s)?",
        "name the actor: `no client`, `no server`, `no process`",
    ),
    (
        r"(?:some|every)body(?:'s)?",
        "name the actor: the client, the operator, each server",
    ),
    (r"as \w+ as may be", "name the limit: `up to the limit of …`"),
    (r"as ever", "write `as before`, or leave it out"),
    (r"of the same mind", "say which decision or value stays the same"),
    (
        r"besides?",
        "write `next to`, `in addition to`, `compared with` or `also`",
    ),
    (r"likewise", "write `also` or `in the same way`"),
    (r"in hand", "write `in progress`, `available` or `uncommitted`"),
    (r"mend(?:s|ed|ing)?", "write `fix`, `repair` or `recover`"),
    (r"doubled", "write `duplicate`, `repeated` or `twice as large`"),
    (
        r"(?:comes?|came|coming) of",
        "write `results from` or `is caused by`",
    ),
    (
        r"(?:is|are|was|were|be|been|being) (?:told|asked|taken for)",
        "name the actor and use the active voice: `the server tells the client …`",
    ),
];

/// "The aim is to …" describes; "the server is to …" is an order.
const IS_TO: &str = r"(\w+) (?:is|are|was|were) to [a-z]+\b";
const AIMS: [&str; 8] = ["aim", "aims", "goal", "idea", "job", "point", "purpose", "task"];

struct Patterns {
    opening: Regex,
    what_clause: Regex,
    headless_who: Regex,
    banned: Vec<(Regex, &'static str)>,
    is_to: Regex,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| Patterns {
    opening: pattern(OPENING),
    what_clause: pattern(WHAT_CLAUSE),
    headless_who: pattern(HEADLESS_WHO),
    banned: BANNED
        .iter()
        .map(|(words, suggestion)| (pattern(&format!(r"\b{words}\b")), *suggestion))
        .collect(),
    is_to: pattern(IS_TO),
});

/// Compiles one of the patterns above. A test compiles all of them.
fn pattern(text: &str) -> Regex {
    let regex = RegexBuilder::new(text).case_insensitive(true).build();
    regex.expect("the patterns of this file are valid")
}

/// Finds the violations in `passage`, except for the widths of lines.
pub fn findings(passage: &Passage) -> Vec<Finding> {
    let patterns = &*PATTERNS;
    let text = passage.text.as_str();
    let mut findings = Vec::new();
    let mut find = |measure, range: Range<usize>, suggestion| {
        findings.push(Finding {
            measure,
            line: passage.line_at(range.start),
            excerpt: excerpt(text, range.start),
            suggestion,
        });
    };
    // A heading or a cell may be a single question word, and names its subject.
    let is_label = passage.kind == Kind::Heading || !text.trim().contains(' ');
    if let Some(found) = patterns.opening.find(text)
        && !is_label
        && !passage.is_question(found.start())
    {
        find(
            Measure::Opening,
            found.range(),
            "begin with the thing itself, with a verb, or with `Returns `true` if …`",
        );
    }
    for found in patterns.what_clause.find_iter(text) {
        if !passage.is_question(found.start()) {
            find(
                Measure::WhatClause,
                found.range(),
                "name the thing: the command, the reply, the text",
            );
        }
    }
    for found in patterns.headless_who.find_iter(text) {
        if !passage.is_question(found.end()) {
            find(
                Measure::HeadlessWho,
                found.range(),
                "name the actor: the client that …, the server that …, the operator who …",
            );
        }
    }
    for (words, suggestion) in &patterns.banned {
        for found in words.find_iter(text) {
            find(Measure::BannedWord, found.range(), suggestion);
        }
    }
    for found in patterns.is_to.captures_iter(text) {
        let subject = found.get(1).map_or("", |subject| subject.as_str());
        if let Some(whole) = found.get(0)
            && !AIMS.iter().any(|aim| aim.eq_ignore_ascii_case(subject))
        {
            find(
                Measure::BannedWord,
                whole.range(),
                "write `must`, `shall` or `will`",
            );
        }
    }
    for sentence in passage.sentences() {
        let whole = text.get(sentence.clone()).unwrap_or_default();
        if words(whole) > WORDS {
            let start = sentence.end - whole.trim_start().len();
            find(
                Measure::LongSentence,
                start..sentence.end,
                "cut it: one idea a sentence, at most 25 words",
            );
        }
    }
    findings
}

/// Finds the lines that are too wide.
pub fn wide_lines(content: &Content) -> impl Iterator<Item = Finding> {
    let wide = content.wrappable.iter().filter(|(_, width)| *width > COLUMNS);
    wide.map(|(line, width)| Finding {
        measure: Measure::WideLine,
        line: *line,
        excerpt: format!("{width} columns"),
        suggestion: "wrap it at 100 columns",
    })
}

fn words(sentence: &str) -> usize {
    let is_word = |word: &&str| word.contains(char::is_alphanumeric);
    sentence.split_whitespace().filter(is_word).count()
}

/// Returns the words that begin at `start`.
fn excerpt(text: &str, start: usize) -> String {
    const CHARS: usize = 60;
    let from = text.get(start..).unwrap_or_default().trim_start();
    let mut excerpt: String = from.chars().take(CHARS).collect();
    if excerpt.len() < from.len() {
        excerpt.push('…');
    }
    excerpt
}
