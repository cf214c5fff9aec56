//! Plants bad sentences and expects the lint to find each; expects nothing in good ones.

use xtask_prose::budget::Part;
use xtask_prose::files::Source;
use xtask_prose::measure_file;
use xtask_prose::report::Measured;
use xtask_prose::rules::Measure;

/// Bad sentences, with the measure that must find them, and no other one may.
const BAD: [(Measure, &str); 34] = [
    (Measure::Opening, "What the server has sent, in order."),
    (Measure::Opening, "Whether another server answers differently."),
    (Measure::Opening, "Where the record lies."),
    (Measure::Opening, "Why there can be no link to the peer."),
    (Measure::Opening, "How a client greets."),
    (Measure::Opening, "(Whose turn comes next.)"),
    (Measure::WhatClause, "Returns what is left of the queue."),
    (Measure::WhatClause, "The error of what was sent last."),
    (
        Measure::WhatClause,
        "A test of what only reads, and of nothing else.",
    ),
    (Measure::WhatClause, "Runs whatever comes next."),
    (Measure::HeadlessWho, "The server answers whoever connects."),
    (
        Measure::HeadlessWho,
        "The secret proves nothing: who has it is a server.",
    ),
    (Measure::HeadlessWho, "A place for who waits longest."),
    (
        Measure::HeadlessWho,
        "The client sends. Who has sent is a member.",
    ),
    (Measure::BannedWord, "The loop runs for ever."),
    (Measure::BannedWord, "It waits, lest the peer misses the frame."),
    (Measure::BannedWord, "Returns so many bytes."),
    (Measure::BannedWord, "A peer is awaited for so long."),
    (Measure::BannedWord, "Nobody reads the reply."),
    (Measure::BannedWord, "The link serves somebody else."),
    (Measure::BannedWord, "The queue takes as many as may be."),
    (Measure::BannedWord, "The lease runs as ever."),
    (Measure::BannedWord, "A silent peer may be of the same mind."),
    (Measure::BannedWord, "The page lies beside the server."),
    (Measure::BannedWord, "The reply is kept likewise."),
    (Measure::BannedWord, "A turn in hand ends first."),
    (Measure::BannedWord, "The election mends the cluster."),
    (Measure::BannedWord, "Each doubled field is an error."),
    (Measure::BannedWord, "The change that comes of it."),
    (Measure::BannedWord, "The client is told the outcome."),
    (Measure::BannedWord, "Every option that is to be set."),
    (Measure::BannedWord, "The loop runs for\never."),
    (
        Measure::LongSentence,
        "The server reads the frame and looks for the record, and then it runs the command in a transaction and \
         sends the reply to the client, which shows the text.",
    ),
    (
        Measure::LongSentence,
        "One. The server reads the frame and looks for the record; then it runs the command in a transaction and \
         sends the reply to the client, which shows the text.",
    ),
];

/// Good sentences close to the bad ones.
const GOOD: [&str; 22] = [
    "Returns `true` if another server answers differently.",
    "Time limit for the greeting, in milliseconds.",
    "What does a client do next?",
    "The client decides what to do next.",
    "See what happens to the fields.",
    "The page says what the server sends.",
    "The operator who starts the server sets the limit.",
    "The name of the server, from whom no reply came.",
    "Who starts an election?",
    "The loop runs forever, or `for ever` in a name.",
    "Waits as long as the lease lasts.",
    "The server tells the client the outcome.",
    "Fixes the cluster.",
    "The aim is to answer within the deadline.",
    "Amends the list of members, and commends no one.",
    "The lesson of the lesser test.",
    "The server reads `whoever` from `what is`.",
    "The server waits for e.g. the reply of a peer.",
    "The first sentence has a few words. The second sentence has a few words too. The third sentence ends here. \
     The fourth sentence has more words than one would think.",
    "`nobody` is a name.",
    "The queue is full when the limit is reached.",
    "The command comes from a client.",
];

fn measured(path: &str, text: &str) -> Measured {
    let mut measured = Measured::default();
    let source = Source::new(path).expect("a source");
    measure_file(&source, text, &mut measured).expect("readable");
    measured
}

fn found(measured: &Measured) -> Vec<(Measure, usize)> {
    let findings = measured.findings().iter();
    findings
        .map(|found| (found.finding.measure, found.finding.line))
        .collect()
}

/// A way to put a sentence into a file: the path, and the text around it.
struct Place {
    path: &'static str,
    before: &'static str,
    marker: &'static str,
    after: &'static str,
}

const PLACES: [Place; 8] = [
    Place {
        path: "crates/client/src/a.rs",
        before: "fn f() {}\n",
        marker: "/// ",
        after: "\nfn g() {}\n",
    },
    Place {
        path: "crates/client/src/a.rs",
        before: "",
        marker: "//! ",
        after: "\n",
    },
    Place {
        path: "crates/client/src/a.rs",
        before: "fn f() {\n",
        marker: "    // ",
        after: "\n}\n",
    },
    Place {
        path: "crates/client/src/a.rs",
        before: "fn f() {}\n/**\n",
        marker: "",
        after: "\n*/\nfn g() {}\n",
    },
    Place {
        path: "www/a.js",
        before: "run();\n",
        marker: "// ",
        after: "\nrun();\n",
    },
    Place {
        path: "tests/a.py",
        before: "run()\n",
        marker: "# ",
        after: "\nrun()\n",
    },
    Place {
        path: "tests/a.py",
        before: "\"\"\"\n",
        marker: "",
        after: "\n\"\"\"\n",
    },
    Place {
        path: "docs/a.md",
        before: "# Title\n\n",
        marker: "",
        after: "\n\n- an item\n",
    },
];

impl Place {
    fn with(&self, sentence: &str) -> String {
        let lines: Vec<_> = sentence
            .lines()
            .map(|line| format!("{}{line}", self.marker))
            .collect();
        format!("{}{}{}", self.before, lines.join("\n"), self.after)
    }

    fn line(&self) -> usize {
        1 + self.before.matches('\n').count()
    }
}

fn is_wide(measure: Measure) -> bool {
    measure == Measure::WideLine
}

#[test]
fn each_bad_sentence_is_found_in_every_kind_of_file() {
    for place in &PLACES {
        for (measure, sentence) in BAD {
            let text = place.with(sentence);
            let mut found = found(&measured(place.path, &text));
            found.retain(|(measure, _)| !is_wide(*measure));
            assert_eq!(found, [(measure, place.line())], "{}: {text}", place.path);
        }
    }
}

#[test]
fn nothing_is_found_in_good_sentences() {
    for place in &PLACES {
        for sentence in GOOD {
            let text = place.with(sentence);
            let mut found = found(&measured(place.path, &text));
            found.retain(|(measure, _)| !is_wide(*measure));
            assert_eq!(found, [], "{}: {text}", place.path);
        }
    }
}

#[test]
fn a_finding_names_its_line_in_a_long_comment() {
    let text = "/// Sends the reply.\n///\n/// The server waits until the\n/// reply has left. Then nobody\n/// waits.\nfn f() {}\n";
    let measured = measured("crates/client/src/a.rs", text);
    assert_eq!(found(&measured), [(Measure::BannedWord, 4)]);
    assert_eq!(measured.lines(Part::Product), 4);
    let shown = measured.findings()[0].to_string();
    assert!(
        shown.starts_with("crates/client/src/a.rs:4: R4 banned-word: nobody waits."),
        "{shown}"
    );
    assert!(shown.contains("no client"), "{shown}");
}

#[test]
fn comments_are_told_from_code() {
    let text = "fn f() {\n    let url = \"https://nobody\";\n    let raw = r#\"// nobody \"#;\n    let c = '\"'; // somebody\n    \
                /* nobody /* nested */ */ g('/');\n    let lifetime: &'static str = \"/* nobody */\";\n}\n";
    let found = found(&measured("crates/client/src/a.rs", text));
    assert_eq!(found, [(Measure::BannedWord, 4), (Measure::BannedWord, 5)]);
}

#[test]
fn code_in_comments_is_not_read() {
    let text = "/// Runs.\n///\n/// ```\n/// // nobody, what is this\n/// ```\nfn f() {}\n";
    let measured = measured("crates/client/src/a.rs", text);
    assert_eq!(found(&measured), []);
    assert_eq!(measured.lines(Part::Product), 1);
}

#[test]
fn messages_of_the_product_are_read() {
    let text = "fn f() {\n    warn!(%peer, \"the peer is told that its key is wrong\");\n    bail!(\n        \"a tab in line {line}, \\\n         which nobody expects here\"\n    );\n}\n\n\
                #[derive(Error)]\n#[error(\"the file holds what is no secret\")]\nstruct E;\n\n\
                #[cfg(test)]\nmod tests {\n    const A: &str = \"a text that nobody ever reads\";\n}\n";
    let measured = measured("crates/client/src/a.rs", text);
    let expected = [
        (Measure::BannedWord, 2),
        (Measure::BannedWord, 5),
        (Measure::WhatClause, 10),
    ];
    assert_eq!(found(&measured), expected);
    assert_eq!(measured.lines(Part::Messages), 3);
    assert_eq!(
        self::measured("crates/client/tests/a.rs", text).lines(Part::Messages),
        0
    );
}

#[test]
fn lines_are_measured_unless_they_cannot_be_wrapped() {
    let wide = "word ".repeat(21).trim_end().to_owned();
    let at_limit = format!("{} end.", "word ".repeat(19).trim_end());
    assert_eq!(at_limit.len(), 99);
    let address = format!("<https://example.com/{}>", "a".repeat(100));
    let text = format!(
        "# {wide}\n\n{at_limit}.\n\n{wide}\n\n{address}\n\n```\n{wide}\n```\n\n| {wide} |\n|---|\n| {wide} |\n"
    );
    let wide_lines = |path, text: &str| {
        let mut found = found(&measured(path, text));
        found.retain(|(measure, _)| is_wide(*measure));
        found
    };
    assert_eq!(wide_lines("docs/a.md", &text), [(Measure::WideLine, 5)]);
    // The indent counts; code that shares the line with a comment is left to rustfmt.
    let text = format!(
        "mod m {{\n    /// {}\n    fn f() {{}} // {wide}\n}}\n",
        &at_limit[5..]
    );
    assert_eq!(
        wide_lines("crates/client/src/a.rs", &text),
        [(Measure::WideLine, 2)]
    );
}

#[test]
fn text_that_is_not_rust_is_an_error() {
    let source = Source::new("crates/client/src/a.rs").expect("a source");
    let error = measure_file(&source, "fn f() {\n    (\n", &mut Measured::default()).expect_err("an error");
    assert!(
        format!("{error:#}").starts_with("cannot read crates/client/src/a.rs: line "),
        "{error:#}"
    );
}

#[test]
fn rust_with_a_byte_order_mark_is_read() {
    let text = "\u{feff}// nobody\nfn f() {}\n";
    assert_eq!(
        found(&measured("crates/client/src/a.rs", text)),
        [(Measure::BannedWord, 1)]
    );
}
