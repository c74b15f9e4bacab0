//! The fenced blocks of the documents, and the commands in them.

use std::{fs, path::Path};

use super::repository;

/// A fenced block.
#[derive(Clone, Debug)]
pub struct Block {
    /// The document, from the root of the repository.
    pub document: String,
    /// The nearest heading above it.
    pub heading: String,
    /// The line of its fence, from 1.
    pub line: usize,
    /// What follows the fence.
    pub language: String,
    /// What is in it, without the indentation of the fence.
    pub text: String,
}

/// One command of a block, as it is to be typed.
#[derive(Clone, Debug)]
pub struct Command {
    /// The document.
    pub document: String,
    /// The heading.
    pub heading: String,
    /// Its first line, from 1.
    pub line: usize,
    /// The text, over as many lines as it has.
    pub text: String,
}

impl Command {
    /// Where it stands.
    pub fn place(&self) -> String {
        format!("{}:{}", self.document, self.line)
    }
}

/// Every document in which people find something to copy, by its path in the repository.
pub fn documents() -> Vec<String> {
    let mut documents = vec!["README.md".to_owned()];
    documents.extend(files_below("docs").into_iter().filter(|path| path.ends_with(".md")));
    for folder in ["charts", "deploy", "examples"] {
        documents.extend(files_below(folder).into_iter().filter(|path| path.ends_with("README.md")));
    }
    documents
}

/// All files below a folder of the repository, in order.
pub fn files_below(folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(repository().join(folder)).unwrap() {
        let path = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
        if repository().join(&path).is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The blocks of a document, in order.
pub fn blocks(document: &str) -> Vec<Block> {
    let text = fs::read_to_string(Path::new(repository()).join(document)).unwrap();
    parse(document, &text)
}

/// As [`blocks`], of a text.
pub fn parse(document: &str, text: &str) -> Vec<Block> {
    let (mut heading, mut blocks) = (String::new(), Vec::new());
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let content = line.trim_start();
        let indentation = line.len() - content.len();
        if let Some(text) = line.strip_prefix('#') {
            heading = text.trim_start_matches('#').trim().to_owned();
        } else if let Some(language) = content.strip_prefix("```") {
            let (mut inside, mut closed) = (String::new(), false);
            for (_, line) in lines.by_ref() {
                closed = line.trim() == "```";
                if closed {
                    break;
                }
                inside.push_str(line.get(indentation..).unwrap_or_default());
                inside.push('\n');
            }
            let line = number + 1;
            assert!(closed, "{document}:{line}: the block has no end");
            let language = language.to_owned();
            blocks.push(Block {
                document: document.to_owned(),
                heading: heading.clone(),
                line,
                language,
                text: inside,
            });
        } else {
            let other = content.starts_with("~~~") || content.starts_with("$ ");
            assert!(!other, "{document}:{}: commands are in blocks between ``` only", number + 1);
        }
    }
    blocks
}

/// Whether people type what is in it.
pub fn is_shell(block: &Block) -> bool {
    matches!(block.language.split(' ').next(), Some("console" | "sh" | "bash" | "shell"))
}

/// The commands of a block: each begins with `$ ` in what is typed line by line (`console`), and a script is one.
pub fn commands(block: &Block) -> Vec<Command> {
    let command = |line: usize, text: &str| Command {
        document: block.document.clone(),
        heading: block.heading.clone(),
        line: block.line + 1 + line,
        text: text.to_owned(),
    };
    if !block.language.starts_with("console") {
        return vec![command(0, &block.text)];
    }
    let mut commands: Vec<Command> = Vec::new();
    for (number, line) in block.text.lines().enumerate() {
        if let Some(text) = line.strip_prefix("$ ") {
            commands.push(command(number, text));
        } else if !line.is_empty() {
            let last = commands.last_mut();
            let last = last.unwrap_or_else(|| panic!("{}:{}: no command begins here", block.document, block.line));
            last.text.push('\n');
            last.text.push_str(line);
        }
    }
    commands
}

/// All commands of a document.
pub fn commands_of(document: &str) -> Vec<Command> {
    blocks(document).iter().filter(|block| is_shell(block)).flat_map(commands).collect()
}
