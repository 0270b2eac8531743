//! The members of one JSON object on one line, by slices of the line: no value is copied or built.

/// The deepest nesting that is passed over.
const DEEPEST: usize = 64;

/// A value, as it stands in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A text, without its quotes; escapes stand as they are written.
    Text(&'a [u8]),
    /// A number, `true`, `false` or `null`.
    Bare(&'a [u8]),
    /// An object, with its braces.
    Object(&'a [u8]),
    /// An array, with its brackets.
    Array(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The bytes of a text or a bare word.
    pub(crate) fn plain(self) -> &'a [u8] {
        match self {
            Self::Text(bytes) | Self::Bare(bytes) => bytes,
            Self::Object(_) | Self::Array(_) => &[],
        }
    }
}

/// The members of an object, one after the other; `Err` where it is none.
#[derive(Clone, Debug)]
pub(crate) struct Members<'a> {
    rest: &'a [u8],
    begun: bool,
    over: bool,
}

/// Text that is no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoObject;

impl<'a> Members<'a> {
    pub(crate) fn of(text: &'a [u8]) -> Self {
        Self { rest: text, begun: false, over: false }
    }

    fn blanks(&mut self) {
        let blank = self.rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.rest = self.rest.get(blank..).unwrap_or_default();
    }

    fn take(&mut self, wanted: u8) -> Result<(), NoObject> {
        self.blanks();
        match self.rest.split_first() {
            Some((&found, rest)) if found == wanted => {
                self.rest = rest;
                Ok(())
            }
            Some(_) | None => Err(NoObject),
        }
    }

    fn cut(&mut self, length: usize) -> Result<&'a [u8], NoObject> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(NoObject)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A text, behind its first quote.
    fn text(&mut self) -> Result<&'a [u8], NoObject> {
        let length = text_length(self.rest).ok_or(NoObject)?;
        let text = self.cut(length)?;
        let _ = self.cut(1)?;
        Ok(text)
    }

    fn value(&mut self) -> Result<Value<'a>, NoObject> {
        self.blanks();
        match self.rest.first() {
            Some(b'"') => {
                let _ = self.cut(1)?;
                self.text().map(Value::Text)
            }
            Some(b'{') => self.nested().map(Value::Object),
            Some(b'[') => self.nested().map(Value::Array),
            Some(_) => {
                let bare = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
                match self.rest.iter().take_while(bare).count() {
                    0 => Err(NoObject),
                    length => self.cut(length).map(Value::Bare),
                }
            }
            None => Err(NoObject),
        }
    }

    /// An object or an array, whole.
    fn nested(&mut self) -> Result<&'a [u8], NoObject> {
        let (mut depth, mut at) = (0, 0);
        while let Some(byte) = self.rest.get(at) {
            match byte {
                b'"' => at += 1 + text_length(self.rest.get(at + 1..).unwrap_or_default()).ok_or(NoObject)?,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            at += 1;
            match depth {
                0 => return self.cut(at),
                deep if deep > DEEPEST => return Err(NoObject),
                _ => {}
            }
        }
        Err(NoObject)
    }

    fn member(&mut self) -> Result<Option<(&'a [u8], Value<'a>)>, NoObject> {
        if !self.begun {
            self.take(b'{')?;
        }
        if self.take(b'}').is_ok() {
            self.blanks();
            return if self.rest.is_empty() { Ok(None) } else { Err(NoObject) };
        }
        if self.begun {
            self.take(b',')?;
        }
        self.begun = true;
        self.take(b'"')?;
        let key = self.text()?;
        self.take(b':')?;
        Ok(Some((key, self.value()?)))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<(&'a [u8], Value<'a>), NoObject>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let member = self.member().transpose();
        self.over = !matches!(member, Some(Ok(_)));
        member
    }
}

/// How long a text is up to its closing quote.
fn text_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Members;

    #[test]
    fn members_are_found_and_what_is_no_object_is_said() {
        let rows = [
            (r#"{}"#, Some(0)),
            (r#" {"a": 1, "b":"x\"}", "c":{"d":[1,"]"]}, "e":[{}] , "f":null} "#, Some(5)),
            (r#"{"a":1"#, None),
            (r#"{"a":1}}"#, None),
            (r#"{"a":1,}"#, None),
            (r#"{"a" 1}"#, None),
            (r#"{"a":}"#, None),
            (r#"[1]"#, None),
            (r#"{"a":{"b":1}"#, None),
            (r#"{"a":"\"#, None),
            ("", None),
        ];
        for (text, expected) in rows {
            let found = Members::of(text.as_bytes()).collect::<Result<Vec<_>, _>>();
            assert_eq!(found.ok().map(|members| members.len()), expected, "{text}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert!(Members::of(deep.as_bytes()).any(|member| member.is_err()));
    }
}
