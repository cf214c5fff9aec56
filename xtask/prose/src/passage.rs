//! Cuts comments and documents into passages and sentences. Both are Markdown.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The text of one comment, or of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The lines, without the markers of the comment.
    pub lines: Vec<Line>,
}

/// A line of a [`Block`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The number of the line in its file, from 1.
    pub number: usize,
    /// The width of the whole line in the file, in characters; 0 if no limit applies to the line.
    pub width: usize,
    /// The text, without the marker of the comment.
    pub text: String,
}

/// A block that has been read as Markdown.
#[derive(Debug, Default)]
pub struct Content {
    /// Paragraphs, headings and cells of tables, in order.
    pub passages: Vec<Passage>,
    /// The number of lines that hold text: not empty, and not code.
    pub lines_of_text: usize,
    /// Lines that could be wrapped, as number and width: no code, no table and no heading.
    pub wrappable: Vec<(usize, usize)>,
}

/// The kind of a [`Passage`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A paragraph, or the text of a list item.
    #[default]
    Paragraph,
    /// A heading.
    Heading,
    /// A cell of a table.
    Cell,
    /// An error, log or help text.
    Message,
}

/// A text without line breaks. Code in it is replaced by one word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passage {
    /// The kind of the passage.
    pub kind: Kind,
    /// The text.
    pub text: String,
    /// For each line of the source, the offset in `text` at which it begins, and its number.
    starts: Vec<(usize, usize)>,
}

/// Placeholder in a [`Passage`] for a piece of code.
pub const CODE: &str = "`x`";

/// Abbreviations whose full stop does not end a sentence.
const ABBREVIATIONS: [&str; 7] = ["e.g.", "i.e.", "cf.", "vs.", "approx.", "resp.", "no."];

impl Block {
    /// Returns a block with these lines.
    pub fn new(lines: Vec<Line>) -> Self {
        Self { lines }
    }

    /// Returns the block that is a whole document.
    pub fn document(text: &str) -> Self {
        let lines = text.lines().enumerate().map(|(index, line)| Line {
            number: index + 1,
            width: line.chars().count(),
            text: line.to_owned(),
        });
        Self::new(lines.collect())
    }

    /// Returns `true` if the block ends on the line before `number`.
    pub fn ends_before(&self, number: usize) -> bool {
        self.lines.last().is_some_and(|line| line.number + 1 == number)
    }

    /// Reads the block as Markdown.
    pub fn read(&self) -> Content {
        let mut text = String::new();
        let mut starts = Vec::new();
        for line in &self.lines {
            starts.push(text.len());
            text.push_str(&line.text);
            text.push('\n');
        }
        let index_at = |offset: usize| starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let mut reader = Reader::default();
        // For each line: it is code, and it cannot be wrapped.
        let mut is_code = vec![false; self.lines.len()];
        let mut is_fixed = vec![false; self.lines.len()];
        let mark = |marks: &mut [bool], range: &Range<usize>| {
            let last = index_at(range.end.saturating_sub(1).max(range.start));
            if let Some(marks) = marks.get_mut(index_at(range.start)..=last) {
                marks.fill(true);
            }
        };
        for (event, range) in Parser::new_ext(&text, Options::ENABLE_TABLES).into_offset_iter() {
            match &event {
                Event::Start(Tag::CodeBlock(_)) => {
                    mark(&mut is_code, &range);
                    mark(&mut is_fixed, &range);
                }
                Event::Start(Tag::Table(_) | Tag::Heading { .. } | Tag::HtmlBlock) => {
                    mark(&mut is_fixed, &range);
                }
                _ => {}
            }
            let number = self
                .lines
                .get(index_at(range.start))
                .map_or(0, |line| line.number);
            reader.take(event, number);
        }
        reader.finish();
        let has_text = |(line, is_code): &(&Line, &bool)| !**is_code && !line.text.trim().is_empty();
        Content {
            passages: reader.passages,
            lines_of_text: self.lines.iter().zip(&is_code).filter(has_text).count(),
            wrappable: self
                .lines
                .iter()
                .zip(&is_fixed)
                // A line without a space, such as a long address, cannot be wrapped.
                .filter(|(line, is_fixed)| !**is_fixed && line.text.trim().contains(' '))
                .map(|(line, _)| (line.number, line.width))
                .collect(),
        }
    }
}

/// Collects the passages of a block from the events of the Markdown parser.
#[derive(Default)]
struct Reader {
    passages: Vec<Passage>,
    current: Passage,
    is_in_code: bool,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, line: usize) {
        match event {
            Event::Text(text) if !self.is_in_code => self.current.push(&text, line),
            Event::Code(_) => self.current.push(CODE, line),
            Event::SoftBreak | Event::HardBreak => self.current.push(" ", line),
            Event::Start(tag) => match tag {
                Tag::Emphasis | Tag::Strong | Tag::Link { .. } | Tag::Image { .. } => {}
                Tag::CodeBlock(_) => {
                    self.finish();
                    self.is_in_code = true;
                }
                Tag::Heading { .. } => self.begin(Kind::Heading),
                Tag::TableCell => self.begin(Kind::Cell),
                _ => self.begin(Kind::Paragraph),
            },
            Event::End(tag) => match tag {
                TagEnd::Emphasis | TagEnd::Strong | TagEnd::Link | TagEnd::Image => {}
                TagEnd::CodeBlock => self.is_in_code = false,
                _ => self.finish(),
            },
            _ => {}
        }
    }

    fn begin(&mut self, kind: Kind) {
        self.finish();
        self.current.kind = kind;
    }

    fn finish(&mut self) {
        let passage = std::mem::take(&mut self.current);
        if !passage.text.trim().is_empty() {
            self.passages.push(passage);
        }
    }
}

impl Passage {
    /// Returns a passage of this kind from lines, each with its number.
    pub fn from_lines<'a>(kind: Kind, lines: impl IntoIterator<Item = (usize, &'a str)>) -> Self {
        let mut passage = Self {
            kind,
            ..Self::default()
        };
        for (number, line) in lines {
            if !passage.text.is_empty() {
                passage.text.push(' ');
            }
            passage.push(line, number);
        }
        passage
    }

    fn push(&mut self, text: &str, line: usize) {
        if self.starts.last().is_none_or(|(_, last)| *last != line) {
            self.starts.push((self.text.len(), line));
        }
        self.text.push_str(text);
    }

    /// Returns the number of the line that holds the text at `offset`.
    pub fn line_at(&self, offset: usize) -> usize {
        let after = self.starts.partition_point(|(start, _)| *start <= offset);
        let start = self.starts.get(after.saturating_sub(1));
        start.map_or(0, |(_, line)| *line)
    }

    /// Returns the sentences as ranges of `text`.
    pub fn sentences(&self) -> Vec<Range<usize>> {
        let mut sentences = Vec::new();
        let mut begin = 0;
        for (at, end_mark) in self.text.char_indices() {
            if !matches!(end_mark, '.' | '!' | '?') {
                continue;
            }
            let Some((before, after)) = self.text.split_at_checked(at + 1) else {
                continue;
            };
            let closed = after.trim_start_matches([')', '"', '\'', '”', '’']);
            let end = self.text.len() - closed.len();
            let is_abbreviation = ABBREVIATIONS.iter().any(|short| {
                let word = before.rsplit([' ', '(']).next().unwrap_or_default();
                word.eq_ignore_ascii_case(short)
            });
            if end >= begin && !is_abbreviation && begins_sentence(closed) {
                sentences.push(begin..end);
                begin = end;
            }
        }
        if begin < self.text.len() {
            sentences.push(begin..self.text.len());
        }
        sentences
    }

    /// Returns `true` if the sentence at `offset` is a question.
    pub fn is_question(&self, offset: usize) -> bool {
        let sentences = self.sentences();
        let sentence = sentences.iter().find(|sentence| sentence.contains(&offset));
        let text = sentence.and_then(|sentence| self.text.get(sentence.clone()));
        text.is_some_and(|text| text.trim_end_matches([')', '"', '”']).ends_with('?'))
    }
}

/// Returns `true` if a full stop before `text` ends a sentence.
fn begins_sentence(text: &str) -> bool {
    let mut chars = text.chars();
    match chars.next() {
        None => true,
        Some(space) if space.is_whitespace() => {
            text.trim_start().chars().next().is_none_or(|c| !c.is_lowercase())
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(text: &str) -> Vec<String> {
        let passage = Passage::from_lines(Kind::Paragraph, [(1, text)]);
        let sentences = passage.sentences();
        sentences
            .into_iter()
            .map(|range| passage.text[range].trim().to_owned())
            .collect()
    }

    #[test]
    fn sentences_end_at_marks() {
        let text = "A limit of 1.5 s (e.g. two). Is `a.b` it? \"Yes.\" Then v1.2 ends!";
        let expected = [
            "A limit of 1.5 s (e.g. two).",
            "Is `a.b` it?",
            "\"Yes.\"",
            "Then v1.2 ends!",
        ];
        assert_eq!(sentences(text), expected);
    }

    #[test]
    fn a_document_has_passages_with_lines() {
        let text = "# Head\n\nOne `code`\ntwo.\n\n- three\n  four\n- five\n\n```\ncode\n```\n\n| a | b c |\n|---|---|\n| d | e |\n";
        let content = Block::document(text).read();
        let found: Vec<_> = content
            .passages
            .iter()
            .map(|passage| {
                (
                    passage.kind,
                    passage.text.as_str(),
                    passage.line_at(passage.text.len() - 1),
                )
            })
            .collect();
        let expected = [
            (Kind::Heading, "Head", 1),
            (Kind::Paragraph, "One `x` two.", 4),
            (Kind::Paragraph, "three four", 7),
            (Kind::Paragraph, "five", 8),
            (Kind::Cell, "a", 14),
            (Kind::Cell, "b c", 14),
            (Kind::Cell, "d", 16),
            (Kind::Cell, "e", 16),
        ];
        assert_eq!(found, expected);
        assert_eq!(content.lines_of_text, 9);
        let wrappable: Vec<_> = content.wrappable.iter().map(|(line, _)| *line).collect();
        assert_eq!(wrappable, [3, 6, 8]);
    }
}
