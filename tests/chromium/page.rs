//! The page itself: light and dark, wide and narrow, by keyboard.

use serde_json::json;

use crate::ceremonies::{add_passkey, enter, name_it, said};
use crate::desk::Desk;
use crate::my_turn;
use crate::phone::InProcess;

async fn dress(desk: &mut Desk, scheme: &str, width: u32) {
    let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
    desk.page.call("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    let metrics = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
    desk.page.call("Emulation.setDeviceMetricsOverride", metrics).await;
}

/// Nothing sticks out to the side.
async fn fits(desk: &mut Desk) {
    let wide = "[...document.querySelectorAll('body *')]
        .filter((it) => it.checkVisibility() && it.getBoundingClientRect().right > innerWidth + 1)
        .map((it) => it.outerHTML.slice(0, 80))";
    assert_eq!(desk.page.value(wide).await, json!([]));
}

/// The least contrast of any text with what is behind it, as WCAG counts it.
const CONTRAST: &str = "(() => {
    const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (rgb) => {
        const [r, g, b] = rgb.map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (it) => {
        for (; it; it = it.parentElement) {
            const [r, g, b, a = 1] = parse(getComputedStyle(it).backgroundColor);
            if (a === 1) return [r, g, b];
        }
        return [255, 255, 255];
    };
    const texts = [...document.querySelectorAll('body *')].filter((it) => it.checkVisibility()
        && [...it.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()));
    return Math.min(...texts.map((it) => {
        const [a, b] = [parse(getComputedStyle(it).color).slice(0, 3), behind(it)].map(light);
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }));
})()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_read_in_light_and_dark_wide_and_narrow() {
    let _turn = my_turn().await;
    let mut desk = Desk::new("page").await;
    let mut phone = InProcess::new(&desk);
    let looks = [("light", 1100), ("dark", 1100), ("light", 340), ("dark", 340)];
    for (scheme, width) in looks {
        dress(&mut desk, scheme, width).await;
        fits(&mut desk).await;
        desk.keep_page(&format!("{scheme}-{width}")).await;
        assert!(desk.page.value(CONTRAST).await.as_f64().unwrap() >= 4.5);
    }
    // A wide one again: the browser's own window needs its room.
    dress(&mut desk, "light", 1100).await;
    enter(&mut desk, "anna.with.a.name.that.is.rather.long@subdomain.example.com").await;
    add_passkey(&mut desk).await;
    phone.scan().await.result.unwrap();
    assert_eq!(said(&mut desk).await, "Passkey saved");
    name_it(&mut desk).await;
    for (scheme, width) in looks {
        dress(&mut desk, scheme, width).await;
        fits(&mut desk).await;
        desk.keep_page(&format!("methods-{scheme}-{width}")).await;
        assert!(desk.page.value(CONTRAST).await.as_f64().unwrap() >= 4.5);
    }
}

async fn key(desk: &mut Desk, name: &str, code: u32, text: &str) {
    for kind in ["keyDown", "keyUp"] {
        let text = if kind == "keyDown" { text } else { "" };
        let event = json!({ "type": kind, "key": name, "code": name, "text": text,
                            "windowsVirtualKeyCode": code });
        desk.page.call("Input.dispatchKeyEvent", event).await;
    }
}

/// Goes on with the tabulator until something has the focus; it has to be marked as having it.
async fn tab_to(desk: &mut Desk, selector: &str) {
    for _ in 0..30 {
        key(desk, "Tab", 9, "").await;
        let here = format!("document.activeElement === document.querySelector({selector:?})");
        if desk.page.value(&here).await == true {
            let outline = "getComputedStyle(document.activeElement).outlineStyle";
            assert_eq!(desk.page.value(outline).await, "solid");
            return;
        }
    }
    panic!("the tabulator does not reach {selector}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_used_by_keyboard() {
    let _turn = my_turn().await;
    let mut desk = Desk::new("keyboard").await;
    let mut phone = InProcess::new(&desk);
    tab_to(&mut desk, "#name").await;
    desk.page.call("Input.insertText", json!({ "text": "anna@example.com" })).await;
    tab_to(&mut desk, "#enter").await;
    key(&mut desk, "Enter", 13, "\r").await;
    desk.page.shows("#signed-in").await;
    tab_to(&mut desk, "#add").await;
    key(&mut desk, "Enter", 13, "\r").await;
    desk.page.shows("#create").await;
    desk.keep_page("dialog").await;
    // The dialog has the focus at its first button.
    key(&mut desk, "Enter", 13, "\r").await;
    desk.page.shows("#waiting").await;
    phone.scan().await.result.unwrap();
    desk.page.shows("#method-name").await;
    key(&mut desk, "Enter", 13, "\r").await;
    desk.page.until("!document.querySelector('#naming').open").await;
    assert_eq!(desk.page.text("#methods .name").await, "My phone");
}
