//! The `Authorization` header.

use http::{HeaderMap, header};

use super::{AuthError, Token};

/// The token of `Authorization: Bearer TOKEN`; none where the header is missing or blank.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<Token>, AuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        // With two of them it is open which one a proxy in front of us has looked at.
        return if headers.contains_key(header::AUTHORIZATION) { Err(AuthError::MalformedHeader) } else { Ok(None) };
    };
    let blank = [' ', '\t'];
    let text = value.to_str().map_err(|_| AuthError::MalformedHeader)?.trim_matches(blank);
    if text.is_empty() {
        return Ok(None);
    }
    let (scheme, token) = text.split_once(blank).ok_or(AuthError::MalformedHeader)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthError::MalformedHeader);
    }
    Token::parse(token.trim_start_matches(blank)).map(Some).ok_or(AuthError::MalformedHeader)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn found(values: &[&[u8]]) -> Result<Option<String>, AuthError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        bearer(&headers).map(|token| token.map(|token| token.expose().to_owned()))
    }

    #[test]
    fn the_scheme_has_any_case_and_blanks_do_not_count() {
        for text in ["Bearer abc", "bearer abc", "BEARER   abc", " Bearer\tabc  "] {
            assert_eq!(found(&[text.as_bytes()]), Ok(Some("abc".to_owned())), "{text:?}");
        }
    }

    #[test]
    fn without_or_with_a_blank_header_nobody_asks() {
        assert_eq!(found(&[]), Ok(None));
        assert_eq!(found(&[b""]), Ok(None));
        assert_eq!(found(&[b" \t "]), Ok(None));
    }

    #[test]
    fn everything_else_is_malformed() {
        let longest = format!("Bearer {}", "a".repeat(Token::LONGEST));
        assert!(found(&[longest.as_bytes()]).is_ok());
        let too_long = format!("{longest}a");
        for text in [
            "Bearer".as_bytes(),
            b"Bearer ",
            b"abc",
            b"Basic YWJjOmRlZg==",
            b"Token abc",
            b"Bearer abc def",
            b"Bearer abc, Bearer def",
            "Bearer ümlaut".as_bytes(),
            b"Bearer \xff\xfe",
            too_long.as_bytes(),
        ] {
            assert_eq!(found(&[text]), Err(AuthError::MalformedHeader), "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(found(&[b"Bearer abc", b"Bearer abc"]), Err(AuthError::MalformedHeader));
        assert_eq!(found(&[b"", b"Bearer abc"]), Err(AuthError::MalformedHeader));
    }
}
