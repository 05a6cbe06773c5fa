//! From the text of a template to its tree.

/// Deepest nesting of blocks.
const MAX_DEPTH: usize = 16;

/// A template that can be rendered.
#[derive(Debug, Clone)]
pub struct Template {
    pub(super) nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String),
    Value(Show, Path),
    If { condition: Path, then: Vec<Node>, otherwise: Vec<Node> },
    Each { list: Path, body: Vec<Node>, otherwise: Vec<Node> },
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    Plain,
    Date,
    Number,
}

/// A dotted name, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub(super) segments: Vec<String>,
    /// Line, from 1.
    pub(super) line: usize,
}

/// What is wrong with the text of a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct SyntaxError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

/// A block that is not closed yet.
struct Open {
    word: &'static str,
    path: Path,
    /// What stands before the block.
    before: Vec<Node>,
    /// What stands between its beginning and `{{else}}`, once that was read.
    first: Option<Vec<Node>>,
}

impl Template {
    /// Reads a template.
    pub fn parse(source: &str) -> Result<Self, SyntaxError> {
        let mut reader = Reader { nodes: Vec::new(), open: Vec::new(), line: 1 };
        let mut rest = source;
        while let Some(start) = rest.find("{{") {
            reader.text(&rest[..start]);
            let inside = &rest[start + 2..];
            if inside.starts_with('{') {
                return Err(reader.fault("`{{{` is not known: every value is escaped"));
            }
            let Some(end) = inside.find("}}") else { return Err(reader.fault("`{{` is not closed")) };
            reader.tag(inside[..end].trim())?;
            reader.line += lines(&inside[..end]);
            rest = &inside[end + 2..];
        }
        reader.text(rest);
        match reader.open.pop() {
            Some(open) => {
                let line = open.path.line;
                Err(SyntaxError { line, what: format!("`{{{{#{}}}}}` is not closed", open.word) })
            }
            None => Ok(Self { nodes: reader.nodes }),
        }
    }
}

struct Reader {
    nodes: Vec<Node>,
    open: Vec<Open>,
    line: usize,
}

impl Reader {
    fn fault(&self, what: impl Into<String>) -> SyntaxError {
        SyntaxError { line: self.line, what: what.into() }
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.nodes.push(Node::Text(text.to_owned()));
            self.line += lines(text);
        }
    }

    fn tag(&mut self, tag: &str) -> Result<(), SyntaxError> {
        let words: Vec<&str> = tag.split_whitespace().collect();
        match words.as_slice() {
            ["#if", path] => self.begin("if", path),
            ["#each", path] => self.begin("each", path),
            ["else"] => self.otherwise(),
            ["/if"] => self.end("if"),
            ["/each"] => self.end("each"),
            ["date", path] => self.value(Show::Date, path),
            ["number", path] => self.value(Show::Number, path),
            [path] => self.value(Show::Plain, path),
            _ => Err(self.fault(format!("`{{{{{tag}}}}}` is not known"))),
        }
    }

    fn value(&mut self, show: Show, path: &str) -> Result<(), SyntaxError> {
        let path = self.path(path)?;
        self.nodes.push(Node::Value(show, path));
        Ok(())
    }

    fn begin(&mut self, word: &'static str, path: &str) -> Result<(), SyntaxError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.fault(format!("blocks are nested deeper than {MAX_DEPTH}")));
        }
        let (path, before) = (self.path(path)?, std::mem::take(&mut self.nodes));
        self.open.push(Open { word, path, before, first: None });
        Ok(())
    }

    fn otherwise(&mut self) -> Result<(), SyntaxError> {
        match self.open.last_mut() {
            Some(open) if open.first.is_none() => {
                open.first = Some(std::mem::take(&mut self.nodes));
                Ok(())
            }
            _ => Err(self.fault("`{{else}}` belongs to no block")),
        }
    }

    fn end(&mut self, word: &str) -> Result<(), SyntaxError> {
        let Some(open) = self.open.pop().filter(|open| open.word == word) else {
            return Err(self.fault(format!("`{{{{/{word}}}}}` closes nothing")));
        };
        let last = std::mem::replace(&mut self.nodes, open.before);
        let (first, otherwise) = match open.first {
            Some(first) => (first, last),
            None => (last, Vec::new()),
        };
        self.nodes.push(match word {
            "if" => Node::If { condition: open.path, then: first, otherwise },
            _ => Node::Each { list: open.path, body: first, otherwise },
        });
        Ok(())
    }

    fn path(&self, text: &str) -> Result<Path, SyntaxError> {
        let fits = |segment: &str| {
            !segment.is_empty()
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        let segments: Vec<String> = text.split('.').map(str::to_owned).collect();
        if segments.len() > MAX_DEPTH || !segments.iter().all(|segment| fits(segment)) {
            return Err(self.fault(format!("`{text}` is no name such as `user.name`")));
        }
        Ok(Path { segments, line: self.line })
    }
}

fn lines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}
