// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
// Asks for this address again, ever more slowly, and goes there as soon as the answer is another.
// It asks by HEAD, so what was posted is not posted twice, and only while the page can be seen.
(() => {
	const line = document.getElementById('retry');
	const here = location.pathname + location.search;
	let wait = Number(line.dataset.wait);
	let due = false; // its time came while nobody looked

	function later() {
		line.textContent = line.dataset.waiting.replace('#', wait);
		setTimeout(ask, wait * (900 + Math.random() * 200));
		wait = Math.min(wait * 2, 60);
	}

	async function ask() {
		due = document.hidden;
		if (due)
			return;
		line.textContent = line.dataset.trying;
		const answer = await fetch(here, {method: 'HEAD', cache: 'no-store', redirect: 'manual'})
			.catch(() => null);
		if (answer !== null && answer.headers.get('Tunnel-Error') !== line.dataset.code)
			location.assign(here);
		else
			later();
	}

	document.addEventListener('visibilitychange', () => {
		if (due && !document.hidden)
			ask();
	});
	later();
})();
