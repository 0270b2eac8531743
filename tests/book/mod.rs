//! The README and the pages of the book, and the fenced blocks in them.

use std::fs;
use std::path::Path;

/// A page, named from the root of the repository.
pub(crate) struct Page {
    pub(crate) name: String,
    text: String,
}

/// A fenced block: its language, and the number of its first line.
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// The README, and every page of the book.
pub(crate) fn pages() -> Vec<Page> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let read = |path: &Path| {
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        Page { name, text: fs::read_to_string(path).unwrap() }
    };
    paths.iter().map(|path| read(path)).collect()
}

impl Page {
    /// The blocks in their order.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        self.parts().0
    }

    /// The blocks, and the numbered lines that are in none.
    pub(crate) fn parts(&self) -> (Vec<Block>, Vec<(usize, &str)>) {
        let (mut blocks, mut others) = (Vec::new(), Vec::new());
        let mut open: Option<(String, Block)> = None;
        for (number, line) in (1..).zip(self.text.lines()) {
            match &mut open {
                Some((fence, _)) if line == fence => blocks.extend(open.take().map(|(_, block)| block)),
                Some((_, block)) => block.text.extend([line, "\n"]),
                None if line.starts_with("```") => {
                    let language = line.trim_start_matches('`').to_owned();
                    let fence = line[..line.len() - language.len()].to_owned();
                    open = Some((fence, Block { language, line: number + 1, text: String::new() }));
                }
                None => others.push((number, line)),
            }
        }
        assert!(open.is_none(), "{}: a block has no end", self.name);
        (blocks, others)
    }
}

impl Block {
    /// The file that the block shows whole: its first line says `# NAME`.
    pub(crate) fn file(&self) -> Option<&str> {
        let name = self.text.lines().next()?.strip_prefix("# ")?;
        (name.contains('.') && !name.contains(char::is_whitespace)).then_some(name)
    }
}
