use super::*;

const PARAGRAPH: &str = "The harbour council met on Monday evening and spoke for three hours about \
    the old crane, which nobody wants to take down and nobody wants to pay for, it said later.";

fn page_at(html: &str, url: &str) -> Result<Page, Error> {
    let url = Url::parse(url).unwrap();
    let now = "2024-01-10T07:00:00Z".parse().unwrap();
    read(html.as_bytes(), &Context { url: Some(&url), charset: None, now })
}

fn page(html: &str) -> Page {
    page_at(html, "https://paper.example/news/1").unwrap()
}

fn with_head(head: &str) -> Page {
    page(&format!(
        "<html><head>{head}</head><body><article><p>{PARAGRAPH}</p><p>{PARAGRAPH}</p></article></body></html>"
    ))
}

#[test]
fn the_body_is_kept_in_paragraphs_and_what_surrounds_it_is_not() {
    let links = "<li><a href='/a'>Weather</a></li>".repeat(12);
    let body: String = (1..=5).map(|n| format!("<p>Part {n}. {PARAGRAPH}</p>")).collect();
    let surrounded = |open: &str, close: &str| {
        format!(
            "<html lang='en'><head><title>Crane stays | Paper</title></head><body>\
             <header><nav><ul>{links}</ul></nav></header><div class='cookie-notice'>We value your privacy.</div>\
             {open}<h1>Crane stays</h1>{body}{close}\
             <aside class='related'><h2>More</h2><ul>{links}</ul></aside>\
             <div id='comments'><p>First comment, of little use to anybody who reads.</p></div>\
             <footer><p>All rights reserved. Imprint. Contact.</p></footer></body></html>"
        )
    };
    for (name, open, close) in [
        ("article", "<main><article>", "</article></main>"),
        ("divs", "<div id='content'><div class='story-body'>", "</div></div>"),
        ("table", "<table><tr><td>", "</td></tr></table>"),
        ("section", "<section role='main'>", "</section>"),
    ] {
        let page = page(&surrounded(open, close));
        assert_eq!(page.title, "Crane stays", "{name}");
        let paragraphs: Vec<&str> = page.text.split("\n\n").collect();
        assert_eq!(paragraphs.len(), 5, "{name}: {:#?}", page.text);
        assert!(
            paragraphs[0].starts_with("Part 1.") && paragraphs[4].starts_with("Part 5."),
            "{name}"
        );
        for cut in ["Weather", "privacy", "comment", "Imprint", "More"] {
            assert!(!page.text.contains(cut), "{name} keeps {cut}: {}", page.text);
        }
        assert_eq!(page.lang.unwrap().as_str(), "en", "{name}");
    }
}

#[test]
fn what_a_page_says_of_itself_is_read_in_the_order_that_lies_least() {
    let data = r#"<script type="application/ld+json">{"@context": "x", "@graph": [
        {"@type": "WebSite", "name": "Paper"},
        {"@type": ["NewsArticle"], "headline": "The crane
stays", "datePublished": "2024-01-09T08:00:00+01:00", "dateModified": "2024-01-09T10:00:00Z",
         "author": [{"@type": "Person", "name": "A. Sailor"}, {"name": "B. Cook"}],
         "publisher": {"name": "Paper Group"}, "inLanguage": "en-GB"}]}</script>"#;
    let metas = "<meta property='og:title' content='Other title'>\
        <meta property='article:published_time' content='2024-01-01T00:00:00Z'>";
    let page = with_head(&format!("{metas}{data}"));
    assert_eq!(page.title, "The crane stays");
    assert_eq!(page.published_at.unwrap().to_string(), "2024-01-09T07:00:00.000Z");
    assert_eq!(page.updated_at.unwrap().to_string(), "2024-01-09T10:00:00.000Z");
    assert_eq!(page.author.as_deref(), Some("A. Sailor, B. Cook"));
    assert_eq!((page.site.as_deref(), page.lang.unwrap().as_str()), (Some("Paper Group"), "en-GB"));
    let page = with_head(metas);
    assert_eq!(page.title, "Other title");
    assert_eq!(page.published_at.unwrap().to_string(), "2024-01-01T00:00:00.000Z");
    let page = with_head(
        "<title>The long crane stays - Paper</title>\
        <meta name=author content='https://paper.example/people/1'>\
        <meta property='article:published_time' content='2025-01-01T00:00:00Z'>",
    );
    assert_eq!((page.title.as_str(), page.author), ("The long crane stays", None));
    assert_eq!(page.published_at, None, "too far ahead");
    assert_eq!(page.lang.unwrap().as_str(), "en", "by its words");
}

#[test]
fn an_address_is_believed_on_its_own_site_and_loses_what_tracks() {
    for (name, head, at, want) in [
        (
            "none",
            "",
            "https://paper.example/a?utm_source=x&id=3#top",
            "https://paper.example/a?id=3",
        ),
        ("only tracking", "", "https://paper.example/a?fbclid=x", "https://paper.example/a"),
        (
            "its own",
            "<link rel=canonical href='/b'>",
            "https://www.paper.example/a",
            "https://www.paper.example/b",
        ),
        (
            "a part of the site",
            "<link rel=canonical href='https://paper.example/b'>",
            "https://m.paper.example/a",
            "https://paper.example/b",
        ),
        (
            "another site",
            "<link rel=canonical href='https://other.example/b'>",
            "https://paper.example/a",
            "https://paper.example/a",
        ),
        (
            "a front page",
            "<link rel=canonical href='https://paper.example/'>",
            "https://paper.example/a",
            "https://paper.example/a",
        ),
        (
            "Open Graph",
            "<meta property='og:url' content='https://paper.example/c'>",
            "https://paper.example/a",
            "https://paper.example/c",
        ),
    ] {
        let html = format!(
            "<html><head>{head}</head><body><p>{PARAGRAPH}</p><p>{PARAGRAPH}</p></body></html>"
        );
        assert_eq!(page_at(&html, at).unwrap().url.as_deref(), Some(want), "{name}");
    }
}

#[test]
fn a_page_without_text_gives_what_its_head_says_or_an_error() {
    let data = format!(
        r#"<script type="application/ld+json">{{"@type":"Article","articleBody":"{PARAGRAPH}"}}</script>"#
    );
    let empty = |head: &str| {
        page_at(
            &format!("<html><head>{head}</head><body><div id=app></div></body></html>"),
            "https://paper.example/1",
        )
    };
    assert_eq!(empty(&data).unwrap().text, PARAGRAPH);
    assert_eq!(empty("<meta name=description content='In short.'>").unwrap().text, "In short.");
    let error = empty("<title>Nothing</title>").unwrap_err().to_string();
    assert!(error.contains("no text"), "{error}");
}

#[test]
fn hostile_pages_end_in_an_error_or_a_text() {
    let many = "<b>".repeat(MAX_TAGS + 1);
    for (name, html) in [
        ("many tags", many),
        ("deep", format!("{}<p>{PARAGRAPH}</p>", "<div>".repeat(MAX_TAGS / 2))),
        ("deep spans", "<span>".repeat(MAX_TAGS / 2)),
        ("open formatting", "<p><b><i><a href=x>".repeat(MAX_TAGS / 5)),
        ("tables", "<table><tr><td>".repeat(MAX_TAGS / 4)),
        ("no page", "just text".to_owned()),
        ("nothing", String::new()),
        ("one long word", format!("<p>{}</p>", "x".repeat(MAX_BYTES - 10))),
        ("an attribute", format!("<p title='{}'>x</p>", "y".repeat(1 << 20))),
        ("bad data", "<script type='application/ld+json'>{[}</script>".to_owned()),
        (
            "deep data",
            format!("<script type='application/ld+json'>{}</script>", "[".repeat(100_000)),
        ),
    ] {
        match page_at(&html, "https://paper.example/1") {
            Ok(page) => assert!(page.text.chars().count() <= MAX_BODY_CHARS, "{name}"),
            Err(error) => assert!(!error.to_string().is_empty(), "{name}"),
        }
    }
    let large = vec![b' '; MAX_BYTES + 1];
    let now = "2024-01-10T07:00:00Z".parse().unwrap();
    let read = read(&large, &Context { url: None, charset: None, now });
    assert!(matches!(read, Err(Error::TooLarge { .. })));
}
