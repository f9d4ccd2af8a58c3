// Twins of devices. This SDK cannot replace one.

'use strict';

const { assert, body, main, refused, same, step } = require('./steps');

const INVALID = ['ArgumentError', 400, 'ArgumentInvalid'];
const levels = (depth) => (depth ? { a: levels(depth - 1) } : 1);
const texts = (count) => Object.fromEntries(Array.from({ length: count }, (_, number) => [`key-${number}`, 'x'.repeat(4000)]));

main(async (hub) => {
  const patch = (values, etag = '*') => hub.updateTwin('device', values, etag);
  const desire = (values) => patch({ properties: { desired: values } });
  await hub.create({ deviceId: 'device' });

  await step('read a new twin', async () => {
    const twin = await body(hub.getTwin('device'));
    same([twin.deviceId, twin.status, twin.version, twin.tags], ['device', 'enabled', 2, {}]);
    same([twin.properties.desired.$version, twin.properties.reported.$version], [1, 1]);
  });

  await step('read what does not exist', () =>
    refused('DeviceNotFoundError', 404, 'DeviceNotFound', () => hub.getTwin('no-such-device')));

  await step('patch merges', async () => {
    await patch({ tags: { site: { town: 'Oslo', floor: 2 } } });
    const twin = await body(patch({ tags: { site: { floor: 3 }, owner: 'me' } }));
    same(twin.tags, { site: { town: 'Oslo', floor: 3 }, owner: 'me' });
  });

  await step('patch with null removes', async () => {
    same((await body(patch({ tags: { owner: null, site: { floor: null } } }))).tags, { site: { town: 'Oslo' } });
  });

  await step('patch counts versions', async () => {
    const before = await body(hub.getTwin('device'));
    const after = await body(desire({ interval: 5 }));
    same(after.version, before.version + 1);
    same(after.properties.desired.$version, before.properties.desired.$version + 1);
    assert(after.etag !== before.etag);
    assert(after.properties.desired.$metadata.interval.$lastUpdated);
  });

  await step('patch keeps values of all kinds', async () => {
    const kinds = { text: 'zwölf ⏱', float: 1.5, integer: 4503599627370495, flag: false, list: [1, 'a', { b: [] }] };
    await desire({ kinds });
    same((await body(hub.getTwin('device'))).properties.desired.kinds, kinds);
  });

  await step('patch in this version', async () => {
    const { etag } = await body(hub.getTwin('device'));
    same((await body(patch({ tags: { step: 1 } }, etag))).tags.step, 1);
  });

  await step('patch in an old version', async () => {
    await refused('InvalidEtagError', 412, 'PreconditionFailed', () => patch({ tags: { step: 2 } }, 'b2xk'));
    same((await body(hub.getTwin('device'))).tags.step, 1);
  });

  await step('ten levels are taken', async () => {
    assert((await body(desire({ deep: levels(9) }))).properties.desired.deep);
  });

  await step('too many levels', () => refused(...INVALID, () => desire({ deep: levels(11) })));
  await step('a text that is too long', () => refused(...INVALID, () => desire({ text: 'x'.repeat(4097) })));
  await step('a number that is too large', () => refused(...INVALID, () => desire({ number: 4503599627370496 })));

  await step('keys that are not allowed', async () => {
    for (const key of ['a.b', 'a b', '$a', 'a#b']) await refused(...INVALID, () => desire({ [key]: 1 }));
  });

  await step('more than a twin holds', async () => {
    await refused(...INVALID, () => desire(texts(9)));
    await refused(...INVALID, () => patch({ tags: texts(3) }));
  });
});
