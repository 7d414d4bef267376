// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
// The secret of a share link stands behind the '#'. It leaves the address bar before anything else
// is done, and is what the form is sent with if it looks like a secret of ours. One that is pasted
// into the form is sent at once, as the page says.
(() => {
	const form = document.forms[0], field = form.elements.secret;
	const secret = location.hash.slice(1);
	const send = text => {
		if (!/^[a-z2-7]{16,128}$/.test(text))
			return;
		field.value = text;
		form.submit();
	};
	if (secret !== '') {
		history.replaceState(null, '', location.pathname + location.search);
		send(secret);
	}
	document.getElementById('hint').hidden = false;
	field.setAttribute('aria-describedby', `hint ${field.getAttribute('aria-describedby') ?? ''}`.trim());
	field.addEventListener('paste', event => send(event.clipboardData.getData('text').trim()));
})();
