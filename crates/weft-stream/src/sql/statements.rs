//! From the text of `transform.sql` to statements: what standard SQL lacks is taken out of the tokens before it is
//! parsed: `INSERT INTO port`, `EMIT`, `$parameter`, and `TUMBLE(…)`, which becomes a table of its own.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::ast::Query;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};
use serde_json::Value;

use super::refuse::{Outcome, Refusal, refuse, suggestion};

/// When results leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emit {
    Changes,
    Final,
}

/// `TUMBLE(TABLE input, DESCRIPTOR(column), INTERVAL size [, GRACE INTERVAL grace])`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tumble {
    pub(crate) input: String,
    pub(crate) column: String,
    pub(crate) size_ms: i64,
    pub(crate) grace_ms: i64,
}

/// One INSERT.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) port: String,
    pub(crate) emit: Emit,
    pub(crate) query: Box<Query>,
    /// By the name of the table that stands in for it.
    pub(crate) tumbles: BTreeMap<String, Tumble>,
    /// Line of its first token.
    pub(crate) line: u32,
    words: Vec<(String, u32)>,
}

impl Statement {
    /// Line where a word of a refusal stands; the statement's first if nowhere.
    pub(crate) fn line_of(&self, refusal: &Refusal) -> u32 {
        let wanted = refusal.word.as_deref();
        let found = wanted.and_then(|wanted| self.words.iter().find(|(word, _)| word.eq_ignore_ascii_case(wanted)));
        found.map_or(self.line, |(_, line)| *line)
    }
}

fn line(token: &TokenWithSpan) -> u32 {
    u32::try_from(token.span.start.line).unwrap_or(u32::MAX)
}

/// A refusal with its line.
pub(crate) type Placed<T> = Result<T, (Box<Refusal>, u32)>;

/// Splits and parses; every statement that cannot be read is a refusal of its own.
pub(crate) fn read(sql: &str, parameters: &BTreeMap<String, Value>) -> Vec<Placed<Statement>> {
    let dialect = GenericDialect {};
    let tokens = match Tokenizer::new(&dialect, sql).tokenize_with_location() {
        Ok(tokens) => tokens,
        Err(error) => {
            let line = u32::try_from(error.location.line).unwrap_or(u32::MAX);
            return vec![Err((unparsed(&error.message), line))];
        }
    };
    let mut statements = Vec::new();
    let mut current = Vec::new();
    for token in tokens {
        match token.token {
            Token::Whitespace(_) => {}
            Token::SemiColon => {
                if !current.is_empty() {
                    statements.push(statement(std::mem::take(&mut current), parameters));
                }
            }
            _ => current.push(token),
        }
    }
    if !current.is_empty() {
        statements.push(statement(current, parameters));
    }
    statements
}

fn unparsed(why: &str) -> Box<Refusal> {
    refuse(
        "SQL-001",
        "SQL does not parse",
        why,
        "a statement is: INSERT INTO <port> SELECT … FROM <input> … EMIT CHANGES|FINAL;",
    )
}

fn is_word(token: Option<&TokenWithSpan>, wanted: &str) -> bool {
    matches!(token.map(|token| &token.token), Some(Token::Word(word)) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

fn statement(mut tokens: Vec<TokenWithSpan>, parameters: &BTreeMap<String, Value>) -> Placed<Statement> {
    let first = line(&tokens[0]);
    let words = tokens
        .iter()
        .filter_map(|token| match &token.token {
            Token::Word(word) => Some((word.value.clone(), line(token))),
            Token::Placeholder(name) => Some((name.clone(), line(token))),
            _ => None,
        })
        .collect();
    if !is_word(tokens.first(), "INSERT") || !is_word(tokens.get(1), "INTO") {
        return Err((unparsed(&format!("a statement starts with INSERT INTO, not with {}", tokens[0].token)), first));
    }
    let port = match tokens.get(2).map(|token| &token.token) {
        Some(Token::Word(word)) => word.value.clone(),
        _ => return Err((unparsed("after INSERT INTO comes the name of an output port"), first)),
    };
    tokens.drain(..3);
    if matches!(tokens.first().map(|token| &token.token), Some(Token::LParen)) {
        let refusal = refuse(
            "SQL-015",
            "a list of columns after the port is not supported",
            "columns are matched to the contract by name, whatever their order",
            "leave it out and name the columns in SELECT with AS",
        );
        return Err((refusal, line(&tokens[0])));
    }
    let emit = match tokens.as_slice() {
        [.., before, last] if is_word(Some(before), "EMIT") && is_word(Some(last), "CHANGES") => Emit::Changes,
        [.., before, last] if is_word(Some(before), "EMIT") && is_word(Some(last), "FINAL") => Emit::Final,
        _ => {
            let at = tokens.last().map_or(first, line);
            let refusal = refuse(
                "SQL-013",
                format!("the statement for port \"{port}\" does not say when results leave"),
                "a stream has no end: rows leave as they change, or once when their window closes",
                "end it with EMIT CHANGES or EMIT FINAL",
            );
            return Err((refusal, at));
        }
    };
    tokens.truncate(tokens.len() - 2);
    for token in &mut tokens {
        if let Token::Placeholder(name) = &token.token {
            let at = line(token);
            token.token = parameter(name, parameters).map_err(|refusal| (refusal, at))?;
        }
    }
    let mut tumbles = BTreeMap::new();
    let tokens = take_tumbles(tokens, &mut tumbles)?;
    let dialect = GenericDialect {};
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let query = parser.parse_query().and_then(|query| {
        let next = parser.peek_token();
        if next.token == Token::EOF { Ok(query) } else { parser.expected("end of statement", next) }
    });
    match query {
        Ok(query) => Ok(Statement { port, emit, query, tumbles, line: first, words }),
        Err(error) => {
            let text = error.to_string();
            let text = text.trim_start_matches("sql parser error: ");
            let (why, place) = text.split_once(" at Line: ").unwrap_or((text, ""));
            let at = place.split(',').next().and_then(|line| line.trim().parse().ok()).unwrap_or(first);
            Err((unparsed(why), at))
        }
    }
}

fn parameter(name: &str, parameters: &BTreeMap<String, Value>) -> Outcome<Token> {
    let plain = name.trim_start_matches('$');
    match parameters.get(plain) {
        Some(Value::Number(number)) => Ok(Token::Number(number.to_string(), false)),
        Some(Value::String(text)) => Ok(Token::SingleQuotedString(text.clone())),
        Some(Value::Bool(value)) => Ok(Token::make_word(if *value { "TRUE" } else { "FALSE" }, None)),
        Some(Value::Null) => Ok(Token::make_word("NULL", None)),
        Some(_) => Err(refuse(
            "SQL-012",
            format!("parameter \"{plain}\" is neither number, text nor truth value"),
            "a parameter stands where a literal may stand",
            "give it a plain value under `parameters:` of the descriptor",
        )),
        None => Err(refuse(
            "SQL-012",
            format!("parameter \"{plain}\" is not declared"),
            "`parameters:` of the product's descriptor has no value for it",
            if parameters.is_empty() {
                "declare it there".to_owned()
            } else {
                suggestion(plain, parameters.keys().map(String::as_str))
            },
        )),
    }
}

/// Replaces every `TUMBLE(…)` by the name of a table that has the input's columns, window_start and window_end.
fn take_tumbles(tokens: Vec<TokenWithSpan>, tumbles: &mut BTreeMap<String, Tumble>) -> Placed<Vec<TokenWithSpan>> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let opens = matches!(tokens.get(at + 1).map(|token| &token.token), Some(Token::LParen));
        if !(is_word(tokens.get(at), "TUMBLE") && opens) {
            for gone in ["HOP", "SESSION", "CUMULATE"] {
                if is_word(tokens.get(at), gone)
                    && opens
                    && (is_word(out.last(), "FROM") || is_word(out.last(), "JOIN"))
                {
                    let refusal = refuse(
                        "SQL-015",
                        format!("{gone} windows are not supported yet"),
                        "this version has tumbling windows only",
                        "use TUMBLE(TABLE input, DESCRIPTOR(column), INTERVAL '1' HOUR)",
                    );
                    return Err((refusal, line(&tokens[at])));
                }
            }
            out.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let start = line(&tokens[at]);
        let span = tokens[at].span;
        let mut depth = 0;
        let mut end = at + 1;
        loop {
            match tokens.get(end).map(|token| &token.token) {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth -= 1,
                None => return Err((unparsed("TUMBLE( is never closed"), start)),
                _ => {}
            }
            if depth == 0 {
                break;
            }
            end += 1;
        }
        let tumble = tumble(&tokens[at + 2..end]).map_err(|refusal| (refusal, start))?;
        let name = format!("tumble {}", tumbles.len() + 1);
        let word = |value: &str| TokenWithSpan {
            token: Token::Word(Word {
                value: value.to_owned(),
                quote_style: Some('"'),
                keyword: datafusion::sql::sqlparser::keywords::Keyword::NoKeyword,
            }),
            span,
        };
        out.push(word(&name));
        at = end + 1;
        // Without an alias the columns are known by the input's name.
        let aliased = match tokens.get(at).map(|token| &token.token) {
            Some(Token::Word(word)) => {
                word.keyword == datafusion::sql::sqlparser::keywords::Keyword::NoKeyword
                    || word.value.eq_ignore_ascii_case("AS")
                    || word.quote_style.is_some()
            }
            _ => false,
        };
        if !aliased {
            out.push(TokenWithSpan { token: Token::make_word("AS", None), span });
            out.push(word(&tumble.input));
        }
        tumbles.insert(name, tumble);
    }
    Ok(out)
}

fn bad_tumble(because: impl Into<String>) -> Box<Refusal> {
    refuse(
        "SQL-014",
        "TUMBLE is not understood",
        because,
        "write TUMBLE(TABLE input, DESCRIPTOR(column), INTERVAL '1' HOUR [, GRACE INTERVAL '5' MINUTE])",
    )
}

fn tumble(tokens: &[TokenWithSpan]) -> Outcome<Tumble> {
    let mut depth = 0;
    let mut arguments: Vec<Vec<&TokenWithSpan>> = vec![Vec::new()];
    for token in tokens {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            Token::Comma if depth == 0 => {
                arguments.push(Vec::new());
                continue;
            }
            _ => {}
        }
        arguments.last_mut().expect("starts with one").push(token);
    }
    if !(3..=4).contains(&arguments.len()) {
        return Err(bad_tumble(format!("it has {} arguments, not 3 or 4", arguments.len())));
    }
    let name = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) => Some(word.value.clone()),
        _ => None,
    };
    let input = match arguments[0].as_slice() {
        [table, input] if is_word(Some(table), "TABLE") => name(input),
        [_, open, ..] if open.token == Token::LParen => {
            return Err(bad_tumble(
                "TABLE is followed by a query; it reads an input, and WHERE behind TUMBLE filters it",
            ));
        }
        _ => None,
    };
    let input = input.ok_or_else(|| bad_tumble("its first argument is not TABLE and the name of an input"))?;
    let column = match arguments[1].as_slice() {
        [descriptor, open, column, close]
            if is_word(Some(descriptor), "DESCRIPTOR")
                && open.token == Token::LParen
                && close.token == Token::RParen =>
        {
            name(column)
        }
        _ => None,
    };
    let column = column.ok_or_else(|| bad_tumble("its second argument is not DESCRIPTOR(column)"))?;
    let size_ms = interval(&arguments[2])?;
    if size_ms == 0 {
        return Err(bad_tumble("a window of no length holds nothing"));
    }
    let grace_ms = match arguments.get(3) {
        None => 0,
        Some(grace) if is_word(grace.first().copied(), "GRACE") => interval(&grace[1..])?,
        Some(_) => return Err(bad_tumble("its fourth argument is not GRACE INTERVAL …")),
    };
    Ok(Tumble { input, column, size_ms, grace_ms })
}

fn interval(tokens: &[&TokenWithSpan]) -> Outcome<i64> {
    let (number, unit) = match tokens {
        [word, value] if is_word(Some(word), "INTERVAL") => match &value.token {
            Token::SingleQuotedString(text) => {
                text.trim().split_once(' ').map(|(n, u)| (n.to_owned(), u.trim().to_owned()))
            }
            _ => None,
        },
        [word, value, unit] if is_word(Some(word), "INTERVAL") => match (&value.token, &unit.token) {
            (Token::SingleQuotedString(number) | Token::Number(number, _), Token::Word(unit)) => {
                Some((number.trim().to_owned(), unit.value.clone()))
            }
            _ => None,
        },
        _ => None,
    }
    .ok_or_else(|| bad_tumble("a length of time is written INTERVAL '1' HOUR"))?;
    let unit_ms: i64 = match unit.to_ascii_uppercase().trim_end_matches('S') {
        "MILLISECOND" => 1,
        "SECOND" => 1000,
        "MINUTE" => 60_000,
        "HOUR" => 3_600_000,
        "DAY" => 86_400_000,
        "WEEK" => 604_800_000,
        "MONTH" | "YEAR" => return Err(bad_tumble(format!("{unit} has no fixed length"))),
        _ => return Err(bad_tumble(format!("\"{unit}\" is not a unit of time"))),
    };
    let count: i64 = number.parse().map_err(|_| bad_tumble(format!("\"{number}\" is not a whole number")))?;
    if count < 0 {
        return Err(bad_tumble("a length of time is not negative"));
    }
    count
        .checked_mul(unit_ms)
        .ok_or_else(|| bad_tumble(format!("{number} {unit} is more milliseconds than 64 bits hold")))
}
