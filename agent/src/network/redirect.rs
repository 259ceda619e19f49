//! A request and the redirects that it is sent through. Each hop is an exchange of its own.

use bytes::Bytes;
use http::Method;
use url::Url;

use super::wording::Masks;
use super::{Answer, Exchanged, Field, NetError, Policy, Request, Shared, head, hop};
use crate::outcome::Exchange;

/// Fields that are somebody's credentials, whoever set them.
const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];
/// Fields that say something of a body, and go with it.
const OF_THE_BODY: [&str; 4] = ["content-type", "content-encoding", "content-language", "content-location"];

/// What is to be done at the hop at hand. What a redirect takes from it never comes back.
pub(super) struct Errand {
    method: Method,
    /// Without user information, which is a field.
    url: Url,
    /// Whether the URL had user information.
    user: bool,
    fields: Vec<Field>,
    body: Bytes,
    resend_count: u32,
    decodes: bool,
    masks: Masks,
}

/// Makes all hops.
pub(super) async fn follow(shared: &Shared, request: Request, policy: &Policy) -> Exchanged {
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut errand = match Errand::new(&request) {
        Ok(errand) => errand,
        Err(error) => return Exchanged { exchanges, answer: Err(Masks::new(&request.masks).apply_to(error)) },
    };
    let mut locations = Vec::new();
    loop {
        let (exchange, result) = hop::make(shared, &errand, &request, policy).await;
        let refused = exchange.is_none();
        exchanges.extend(exchange);
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => {
                // Where a redirect led to what may not be reached, the exchange that led there says so.
                return if refused { failed(exchanges, error) } else { Exchanged { exchanges, answer: Err(error) } };
            }
        };
        let Some(location) = location(&answer).filter(|_| request.redirects > 0) else {
            return Exchanged { exchanges, answer: Ok(Answer { url: errand.shown(), locations, ..answer }) };
        };
        let next = if locations.len() < usize::from(request.redirects) {
            errand.redirect(answer.status, &location)
        } else {
            Err(NetError::TooManyRedirects(request.redirects))
        };
        if let Err(error) = next {
            let error = errand.masked(error);
            return failed(exchanges, error);
        }
        locations.push(errand.masks.apply(&without_user(&location)));
    }
}

fn failed(mut exchanges: Vec<Exchange>, error: NetError) -> Exchanged {
    if let Some(last) = exchanges.last_mut() {
        last.error = Some((error.error_type(), error.to_string()));
    }
    Exchanged { exchanges, answer: Err(error) }
}

/// Where an answer sends us, if it is a redirect.
fn location(answer: &Answer) -> Option<String> {
    let redirect = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
    let field = answer.fields.iter().find(|(name, _)| redirect && name == "location")?;
    Some(field.1.clone())
}

/// A location as it is shown: it may be no URL at all, so this looks for the one place where a user could stand.
fn without_user(location: &str) -> String {
    let Some(authority) = location.find("//").map(|at| at + 2) else { return location.to_owned() };
    let end = location[authority..].find(['/', '?', '#', '\\']).map_or(location.len(), |at| authority + at);
    match location[authority..end].rfind('@') {
        Some(at) => format!("{}***{}", &location[..authority], &location[authority + at..]),
        None => location.to_owned(),
    }
}

impl Errand {
    fn new(request: &Request) -> Result<Self, NetError> {
        if !matches!(request.url.scheme(), "http" | "https") {
            return Err(NetError::InvalidRequest(format!("`{}` is neither http nor https", request.url.scheme())));
        }
        head::check(&request.method, &request.fields)?;
        let mut fields = request.fields.clone();
        let user = head::basic(&request.url);
        let has_user = user.is_some();
        // What the plugin says itself is meant more than what the URL happens to carry.
        if !fields.iter().any(|field| field.name.eq_ignore_ascii_case("authorization")) {
            fields.extend(user);
        }
        let mut masks = request.masks.clone();
        masks.extend(request.url.password().map(str::to_owned));
        Ok(Self {
            method: request.method.clone(),
            url: bare(request.url.clone()),
            user: has_user,
            decodes: !head::asks_for_encodings(&fields),
            fields,
            body: request.body.clone(),
            resend_count: 0,
            masks: Masks::new(&masks),
        })
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    pub(super) fn resend_count(&self) -> u32 {
        self.resend_count
    }

    /// Whether content codings are undone: only where the host asked for them.
    pub(super) fn decodes(&self) -> bool {
        self.decodes
    }

    /// The URL as it is recorded.
    pub(super) fn shown(&self) -> String {
        let url = self.url.as_str();
        let url = if self.user { url.replacen("://", "://***@", 1) } else { url.to_owned() };
        self.masks.apply(&url)
    }

    pub(super) fn masked(&self, error: NetError) -> NetError {
        self.masks.apply_to(error)
    }

    /// Turns to where a redirect leads.
    fn redirect(&mut self, status: u16, location: &str) -> Result<(), NetError> {
        let shown = without_user(location);
        let next = self.url.join(location).map_err(|error| NetError::Protocol(format!("redirect to `{shown}`: {error}")))?;
        if !matches!(next.scheme(), "http" | "https") || !next.has_host() {
            return Err(NetError::Protocol(format!("redirect to `{shown}`, which is neither http nor https")));
        }
        let to_get = match status {
            303 => self.method != Method::HEAD && self.method != Method::GET,
            301 | 302 => self.method == Method::POST,
            _ => false,
        };
        if to_get {
            self.method = Method::GET;
        }
        if to_get || status == 303 {
            self.body = Bytes::new();
            self.fields.retain(|field| !OF_THE_BODY.iter().any(|name| field.name.eq_ignore_ascii_case(name)));
        }
        if next.origin() != self.url.origin() {
            self.leave_origin()?;
        }
        // A user that the server names is nobody whom we know: it is neither sent nor shown.
        self.url = bare(next);
        self.user = false;
        self.resend_count += 1;
        Ok(())
    }

    fn leave_origin(&mut self) -> Result<(), NetError> {
        self.fields.retain(|field| !field.secret && !CREDENTIALS.iter().any(|name| field.name.eq_ignore_ascii_case(name)));
        if self.masks.occur_in(&self.body) {
            return Err(NetError::Denied("a redirect would send a body with a secret to another origin".to_owned()));
        }
        Ok(())
    }
}

/// Without user information and fragment, neither of which is sent.
fn bare(mut url: Url) -> Url {
    // These fail for URLs without a host only, which were refused.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_in_a_location_is_not_shown() {
        assert_eq!(without_user("http://u:p@h/x@y"), "http://***@h/x@y");
        assert_eq!(without_user("//u:p@h?a@b"), "//***@h?a@b");
        assert_eq!(without_user("/a@b"), "/a@b");
        assert_eq!(without_user("http://h/a@b"), "http://h/a@b");
    }
}
