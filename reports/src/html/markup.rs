//! Markup that cannot be broken: whatever comes from a run is escaped on its way in, and the rest is constant.

/// A growing piece of HTML.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Markup(String);

/// Attributes of an element: constant names, any values.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a str)];

impl Markup {
    /// Adds constant markup.
    pub(super) fn constant(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        text.chars().for_each(|character| escape(&mut self.0, character));
        self
    }

    /// Adds a tag that opens an element.
    pub(super) fn open(&mut self, tag: &'static str, attributes: Attributes<'_>) -> &mut Self {
        self.0.push('<');
        self.0.push_str(tag);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            if value.is_empty() {
                continue;
            }
            self.0.push('=');
            let quote = if is_plain(value) { "" } else { "\"" };
            self.0.push_str(quote);
            self.text(value);
            self.0.push_str(quote);
        }
        self.0.push('>');
        self
    }

    /// Adds a tag that closes an element, and a newline where that shows nowhere.
    pub(super) fn close(&mut self, tag: &'static str) -> &mut Self {
        self.0.push_str("</");
        self.0.push_str(tag);
        self.0.push('>');
        if BLOCKS.contains(&tag) {
            self.0.push('\n');
        }
        self
    }

    /// Adds an element with text in it.
    pub(super) fn element(&mut self, tag: &'static str, attributes: Attributes<'_>, text: &str) -> &mut Self {
        self.open(tag, attributes).text(text).close(tag)
    }

    /// Adds an element with others in it.
    pub(super) fn within(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        fill: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.open(tag, attributes);
        fill(self);
        self.close(tag)
    }

    /// Adds another piece.
    pub(super) fn append(&mut self, other: &Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The text of it all.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Elements behind which a newline shows nowhere.
const BLOCKS: [&str; 18] = [
    "article", "details", "div", "dl", "figure", "footer", "h1", "h2", "h3", "h4", "header", "li", "p", "section",
    "summary", "svg", "table", "ul",
];

/// Whether a value needs no quotes.
fn is_plain(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.#".contains(&byte))
}

/// Controls, also those that turn the direction of writing, are shown by their numbers.
fn escape(out: &mut String, character: char) {
    match character {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        '\n' | '\t' => out.push(character),
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            out.push_str(&character.escape_unicode().to_string());
        }
        _ if character.is_control() => out.push_str(&character.escape_unicode().to_string()),
        _ => out.push(character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let rows = [
            ("plain ü", "<p title=\"plain ü\">plain ü</p>\n"),
            ("word", "<p title=word>word</p>\n"),
            ("", "<p title></p>\n"),
            ("<b>&", "<p title=\"&lt;b&gt;&amp;\">&lt;b&gt;&amp;</p>\n"),
            ("\" on=x", "<p title=\"&quot; on=x\">&quot; on=x</p>\n"),
            ("a/b", "<p title=\"a/b\">a/b</p>\n"),
            ("a>b", "<p title=\"a&gt;b\">a&gt;b</p>\n"),
            ("a\u{1b}\u{202e}b", "<p title=\"a\\u{1b}\\u{202e}b\">a\\u{1b}\\u{202e}b</p>\n"),
        ];
        for (text, expected) in rows {
            let mut markup = Markup::default();
            markup.element("p", &[("title", text)], text);
            assert_eq!(markup.into_string(), expected, "{text:?}");
        }
    }
}
