page.toggles("state");
