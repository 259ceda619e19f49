//! Paths and what stands behind them.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};

use super::page::{self, Filter, Markup, STALE};
use super::{Site, access, api, assets, guard, live};
use crate::outcome::TraceId;

/// What handlers are given.
pub(super) type Shared = State<Arc<Site>>;

/// Everything that is served. The guards stand before the routes, so that no route can be forgotten.
pub(super) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(overview))
        .route("/checks/{check}", get(check))
        .route("/checks/{check}/{target}", get(probe))
        .route("/agent", get(agent))
        .route("/fragments/rows", get(rows))
        .route("/fragments/strip/{index}", get(strip))
        .route("/events", get(live::events))
        .route("/api/v1/checks", get(api::checks))
        .route("/api/v1/checks/{*name}", get(api::check))
        .route("/api/v1/outcomes/{id}", get(api::outcome))
        .route("/api/v1/agent", get(api::agent))
        .route("/assets/{name}", get(assets::asset))
        .route("/favicon.ico", get(assets::favicon))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/login", get(access::form).post(access::login))
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
        .layer(middleware::from_fn_with_state(site.clone(), access::admit))
        .layer(middleware::from_fn_with_state(site.clone(), guard::guard))
        .with_state(site)
}

impl IntoResponse for Markup {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], self.to_string()).into_response()
    }
}

/// Plain words.
pub(super) fn words(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.into() + "\n").into_response()
}

/// What is not there, said in the language of the place: JSON below /api, a page elsewhere.
pub(super) fn missing(path: &str, text: &str) -> Response {
    if path.starts_with("/api/") {
        return (StatusCode::NOT_FOUND, Json(serde_json::json!({ "error": text }))).into_response();
    }
    (StatusCode::NOT_FOUND, page::notice("Not found", text)).into_response()
}

async fn nowhere(uri: Uri) -> Response {
    missing(uri.path(), "there is nothing at this address")
}

async fn not_so() -> Response {
    words(StatusCode::METHOD_NOT_ALLOWED, "this address can only be read: use GET")
}

async fn overview(State(site): Shared, RawQuery(query): RawQuery) -> Markup {
    page::overview(&site.service.board, &site.service.vitals, &Filter::parse(query.as_deref()))
}

async fn rows(State(site): Shared, RawQuery(query): RawQuery) -> Markup {
    let query = query.unwrap_or_default();
    match query.strip_prefix("ids=") {
        Some(ids) => page::rows_of(&site.service.board, ids.split(',').filter_map(|id| id.parse().ok())),
        None => page::rows_page(&site.service.board, &Filter::parse(Some(&query))),
    }
}

async fn strip(State(site): Shared, Path(index): Path<usize>) -> Response {
    match site.service.board.probes().get(index) {
        Some(probe) => Json(page::strip_told(probe)).into_response(),
        None => missing("/api/", "there is no such probe"),
    }
}

/// A check of one target is its probe; one of several is the overview, filtered.
async fn check(State(site): Shared, Path(name): Path<String>, uri: Uri) -> Response {
    let board = &site.service.board;
    match board.check(&name).as_slice() {
        [] => missing(uri.path(), "there is no check of this name"),
        [only] => Redirect::to(&page::href(board.probes()[*only].identity())).into_response(),
        _ => {
            let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("q", &name).finish();
            Redirect::to(&format!("/?{query}")).into_response()
        }
    }
}

async fn probe(State(site): Shared, Path((check, target)): Path<(String, String)>, RawQuery(query): RawQuery, uri: Uri) -> Response {
    let query = query.unwrap_or_default();
    let run = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "run").map(|(_, value)| TraceId::parse(&value));
    if run == Some(None) {
        return missing(uri.path(), "a run's id is 32 hexadecimal digits");
    }
    let board = &site.service.board;
    let view = board.find(&check, &target).and_then(|index| page::probe(board, index, run.flatten()));
    view.map_or_else(|| missing(uri.path(), "there is no probe of this check and target"), IntoResponse::into_response)
}

async fn agent(State(site): Shared) -> Markup {
    page::agent(&site.service.board, &site.service.vitals)
}

async fn metrics(State(site): Shared) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (site.service.metrics)()).into_response()
}

/// Whether the scheduler ticks. Once it has been asked to stop it is silent because it was told to.
async fn health(State(site): Shared) -> Response {
    if site.service.stopping.is_cancelled() {
        return words(StatusCode::OK, "stopping");
    }
    let silent = site.service.vitals.since_beat();
    if silent < STALE {
        return words(StatusCode::OK, "ok");
    }
    words(StatusCode::SERVICE_UNAVAILABLE, format!("the scheduler has been silent for {:.1} s", silent.as_secs_f64()))
}

/// What is served has been read and compiled before: that is ready, until the agent is asked to stop.
async fn ready(State(site): Shared) -> Response {
    if site.service.stopping.is_cancelled() {
        return words(StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping");
    }
    words(StatusCode::OK, "ready")
}
