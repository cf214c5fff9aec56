/// A block of code in a Markdown document.
#[derive(Clone, Debug)]
pub struct CodeBlock {
    /// The text behind the three backticks.
    pub info: String,
    /// The code.
    pub text: String,
    /// The line of the three backticks, counted from 1.
    pub line: usize,
}

impl CodeBlock {
    /// Returns the words behind the three backticks.
    pub fn words(&self) -> Vec<&str> {
        self.info.split_whitespace().collect()
    }
}

/// Returns the blocks of code in a Markdown document, in order.
pub fn code_blocks(document: &str) -> Vec<CodeBlock> {
    let mut blocks = Vec::new();
    let mut open: Option<CodeBlock> = None;
    for (index, line) in document.lines().enumerate() {
        match (line.trim().strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                open = Some(CodeBlock {
                    info: info.to_owned(),
                    text: String::new(),
                    line: index + 1,
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}
