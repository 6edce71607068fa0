//! The language of template expressions as a tree: `concat(variables('a')[0], '/x').name`.
//!
//! In: the text between `[` and `]`. Out: what it says, not yet what it is worth, or a sentence about where it cannot be read
//! [DOC resource-manager template-expressions].

/// Brackets and arguments inside each other; what people write has five.
const DEEPEST: usize = 32;

/// A value and the way from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// Where it starts.
    pub start: Start,
    /// What follows: `.name` and `[0]`.
    pub steps: Vec<Step>,
}

/// What an expression starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// `'text'`
    Text(String),
    /// `7`
    Whole(i64),
    /// `concat(…)`; the name as it is written.
    Call(String, Vec<Expression>),
}

/// A step from a value into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `.name`
    Property(String),
    /// `[…]`
    Item(Expression),
}

impl Expression {
    /// Reads all of a text.
    ///
    /// # Errors
    /// A sentence about the first thing that is not understood.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text };
        let expression = reader.expression(0)?;
        reader.space();
        if reader.rest.is_empty() {
            Ok(expression)
        } else {
            Err(reader.unexpected("the end"))
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn expression(&mut self, depth: usize) -> Result<Expression, String> {
        if depth > DEEPEST {
            return Err(format!(
                "it has more than {DEEPEST} brackets inside each other"
            ));
        }
        let start = self.start(depth)?;
        let mut steps = Vec::new();
        loop {
            if self.takes('.') {
                steps.push(Step::Property(self.name()?));
            } else if self.takes('[') {
                steps.push(Step::Item(self.expression(depth + 1)?));
                self.needs(']')?;
            } else {
                return Ok(Expression { start, steps });
            }
        }
    }

    fn start(&mut self, depth: usize) -> Result<Start, String> {
        if self.takes('\'') {
            return self.text();
        }
        if self
            .rest
            .starts_with(|c: char| c == '-' || c.is_ascii_digit())
        {
            let number = self.while_some(|c| c == '-' || c.is_ascii_digit());
            let whole = number.parse();
            return whole
                .map(Start::Whole)
                .map_err(|_| format!("'{number}' is no number"));
        }
        let name = self.name()?;
        self.needs('(')?;
        let mut arguments = Vec::new();
        if self.takes(')') {
            return Ok(Start::Call(name, arguments));
        }
        loop {
            arguments.push(self.expression(depth + 1)?);
            if !self.takes(',') {
                self.needs(')')?;
                return Ok(Start::Call(name, arguments));
            }
        }
    }

    /// After its opening quote; a quote in it is written twice.
    fn text(&mut self) -> Result<Start, String> {
        let mut text = String::new();
        loop {
            let Some((part, rest)) = self.rest.split_once('\'') else {
                return Err("a text in it does not end".to_owned());
            };
            text.push_str(part);
            self.rest = rest;
            let Some(rest) = rest.strip_prefix('\'') else {
                return Ok(Start::Text(text));
            };
            text.push('\'');
            self.rest = rest;
        }
    }

    fn name(&mut self) -> Result<String, String> {
        self.space();
        let name = self.while_some(|c| c.is_alphanumeric() || c == '_' || c == '-');
        if name.is_empty() {
            return Err(self.unexpected("a name"));
        }
        Ok(name.to_owned())
    }

    fn while_some(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn takes(&mut self, sign: char) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn needs(&mut self, sign: char) -> Result<(), String> {
        if self.takes(sign) {
            return Ok(());
        }
        Err(self.unexpected(&format!("'{sign}'")))
    }

    fn unexpected(&self, wanted: &str) -> String {
        match self.rest.chars().next() {
            Some(found) => format!("'{found}' stands where {wanted} is expected"),
            None => format!("it ends where {wanted} is expected"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_calls_texts_numbers_and_steps() {
        let text = |t: &str| Expression {
            start: Start::Text(t.to_owned()),
            steps: Vec::new(),
        };
        let zero = Expression {
            start: Start::Whole(0),
            steps: Vec::new(),
        };
        assert_eq!(
            Expression::read(" f( 'it''s', g() ).a [0].b "),
            Ok(Expression {
                start: Start::Call(
                    "f".to_owned(),
                    vec![
                        text("it's"),
                        Expression {
                            start: Start::Call("g".to_owned(), Vec::new()),
                            steps: Vec::new()
                        }
                    ]
                ),
                steps: vec![
                    Step::Property("a".to_owned()),
                    Step::Item(zero),
                    Step::Property("b".to_owned())
                ],
            })
        );
    }

    #[test]
    fn says_what_cannot_be_read() {
        for (text, sentence) in [
            ("", "it ends where a name is expected"),
            ("f(", "it ends where a name is expected"),
            ("f('a'", "it ends where ')' is expected"),
            ("f('a", "a text in it does not end"),
            ("f() g", "'g' stands where the end is expected"),
            ("variables", "it ends where '(' is expected"),
            ("f(1-2)", "'1-2' is no number"),
        ] {
            assert_eq!(
                Expression::read(text),
                Err(sentence.to_owned()),
                "of {text:?}"
            );
        }
        let deep = "f(".repeat(100_000);
        assert!(Expression::read(&deep).unwrap_err().contains("brackets"));
    }
}
