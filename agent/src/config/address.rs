//! Addresses of targets: which are URLs that a plugin takes, what they are called, how they are shown.

use std::borrow::Cow;

use url::{ParseError, Url};

/// What stands in the place of user information.
const MASK: &str = "***";

/// The longest name that is made of an address, in bytes.
const LONGEST_NAME: usize = 200;

/// Why an address is none that the plugin takes, and what to do; nothing if it is one.
pub(super) fn mistake(address: &str, plugin: &str, schemes: &[String]) -> Option<(String, Option<String>)> {
    if schemes.is_empty() {
        return None;
    }
    let shown = mask_within(address);
    let usual = || meant(address, &shown, schemes);
    match Url::parse(address) {
        Err(ParseError::RelativeUrlWithoutBase) => Some((without_scheme(&shown, schemes), usual())),
        // `localhost:8080` is one as it is written, which nobody means.
        Ok(url) if !url.has_host() && !address.contains("://") && !schemes.iter().any(|scheme| scheme == url.scheme()) => {
            Some((without_scheme(&shown, schemes), usual()))
        }
        Err(error) => Some((format!("not a url: {shown} ({error})"), usual())),
        Ok(url) if !schemes.iter().any(|scheme| scheme == url.scheme()) => Some((
            format!("not a url for the plugin `{plugin}`: {shown} (its scheme is `{}`, taken are {})", url.scheme(), schemes.join(", ")),
            usual(),
        )),
        Ok(url) if !url.has_host() => Some((format!("not a url: {shown} (no host)"), None)),
        Ok(_) => None,
    }
}

fn without_scheme(shown: &str, schemes: &[String]) -> String {
    let schemes: Vec<String> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
    format!("not a url: {shown} (it does not begin with {})", schemes.join(" or "))
}

/// What may be meant by a host without a scheme.
fn meant(address: &str, shown: &str, schemes: &[String]) -> Option<String> {
    let like_a_host = address.starts_with(|char: char| char.is_alphanumeric() || char == '[')
        && !address.contains("://")
        && !address.contains(char::is_whitespace);
    let mut written: Vec<String> = schemes.iter().map(|scheme| format!("`{scheme}://{shown}`")).collect();
    // `https` before `http`.
    written.sort_by_key(|written| std::cmp::Reverse(written.len()));
    let others = if written.len() > 1 { format!(" (or {})", written[1..].join(", ")) } else { String::new() };
    like_a_host.then(|| format!("did you mean {}{others}?", written[0]))
}

/// What a target without a name is called: its address without scheme, user information, query, fragment and trailing slash.
pub(super) fn name(address: &str) -> String {
    let Some(url) = Url::parse(address).ok().filter(Url::has_host) else {
        return address.to_owned();
    };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let mut name = format!("{}{port}{}", url.host_str().unwrap_or_default(), url.path()).trim_end_matches('/').to_owned();
    // A name is a dimension of series: no address makes it boundless.
    if name.len() > LONGEST_NAME {
        name.truncate(name.floor_char_boundary(LONGEST_NAME));
        name.push('…');
    }
    name
}

/// Names for addresses that stand side by side: those that collide keep their scheme, and get a number if that is not
/// enough.
pub(super) fn names(addresses: &[&str]) -> Vec<String> {
    let plain: Vec<String> = addresses.iter().map(|address| name(address)).collect();
    let mut names: Vec<String> = Vec::with_capacity(plain.len());
    let collide = |name: &String| plain.iter().filter(|other| *other == name).nth(1).is_some();
    let mut taken: std::collections::HashSet<String> = plain.iter().filter(|name| !collide(name)).cloned().collect();
    for (address, name) in addresses.iter().zip(&plain) {
        if !collide(name) {
            names.push(name.clone());
            continue;
        }
        let full = Url::parse(address).map_or_else(|_| name.clone(), |url| format!("{}://{name}", url.scheme()));
        let numbered = (2..).map(|number| format!("{full} ({number})"));
        let free = std::iter::once(full.clone()).chain(numbered).find(|name| taken.insert(name.clone()));
        names.push(free.unwrap_or(full));
    }
    names
}

/// An address as two are compared: `http://x` and `http://x/#part` ask the same.
pub(super) fn canonical(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else { return address.to_owned() };
    url.set_fragment(None);
    url.into()
}

/// An address as it is shown: user information masked.
pub fn masked(address: &str) -> String {
    match Url::parse(address) {
        Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
            let hidden = url.set_username(MASK).is_ok() && url.set_password(None).is_ok();
            if hidden { url.into() } else { mask_within(address).into_owned() }
        }
        _ => mask_within(address).into_owned(),
    }
}

/// A text in which the user information of every address is masked.
pub(super) fn mask_within(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut pieces = text.split("://");
    shown.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let end = piece.find(|char: char| char.is_whitespace() || "/?#\\".contains(char)).unwrap_or(piece.len());
        let host = piece[..end].rfind('@');
        shown.push_str("://");
        if host.is_some() {
            shown.push_str(MASK);
        }
        shown.push_str(&piece[host.unwrap_or(0)..]);
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_address_without_what_is_secret_or_without_bounds() {
        for (address, expected) in [
            ("https://api.example.com/health", "api.example.com/health"),
            ("http://user:pw@127.0.0.1:9/x/?token=1#there", "127.0.0.1:9/x"),
            ("http:user:pw@host/", "host"),
            ("https://example.com", "example.com"),
            ("http://[::1]:9/", "[::1]:9"),
            ("not a url", "not a url"),
        ] {
            assert_eq!(name(address), expected, "{address}");
        }
    }

    #[test]
    fn colliding_names_keep_their_scheme_and_then_get_a_number() {
        let addresses = ["http://x/a?1", "http://x/a?2", "https://x/a", "http://y"];
        assert_eq!(names(&addresses), ["http://x/a", "http://x/a (2)", "https://x/a", "y"]);
    }

    #[test]
    fn user_information_is_masked_wherever_it_stands() {
        assert_eq!(masked("http://user:pw@host/x"), "http://***@host/x");
        assert_eq!(masked("http:user:pw@host/x"), "http://***@host/x");
        assert_eq!(masked("http://user:p@w@[::1"), "http://***@[::1");
        assert_eq!(masked("http://host/a@b"), "http://host/a@b");
        assert_eq!(mask_within("- {address: 'http://a:b@h/', x: \"ftp://c@d\"}"), "- {address: 'http://***@h/', x: \"ftp://***@d\"}");
    }

    #[test]
    fn what_is_no_url_of_the_plugin_is_told_with_what_to_write() {
        let schemes = ["http".to_owned(), "https".to_owned()];
        let told = |address| mistake(address, "http", &schemes);
        for address in ["not a url", "http://", "http://[::1", "http://127.0.0.1:99999/", ""] {
            assert!(told(address).unwrap().0.contains(address), "{address}");
        }
        let (message, hint) = told("ftp://127.0.0.1/x").unwrap();
        assert!(message.contains("`ftp`") && hint.is_none());
        for address in ["example.com/health", "localhost:8080", "foo", "[::1]:9"] {
            let hint = format!("did you mean `https://{address}` (or `http://{address}`)?");
            assert_eq!(told(address).unwrap().1, Some(hint));
        }
        assert!(told("./vedette.yaml").unwrap().1.is_none() && told("not a url").unwrap().1.is_none());
        assert!(told("https://example.com").is_none() && mistake("anything", "dns", &[]).is_none());
    }
}
