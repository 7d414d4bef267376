// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
// The secret of a share link stands behind the '#'. It leaves the address bar before anything else
// is done, and is what the form is sent with if it looks like a secret of ours.
(() => {
	const secret = location.hash.slice(1);
	if (secret === '')
		return;
	history.replaceState(null, '', location.pathname + location.search);
	if (!/^[a-z2-7]{16,128}$/.test(secret))
		return;
	const form = document.forms[0];
	form.elements.secret.value = secret;
	form.submit();
})();
