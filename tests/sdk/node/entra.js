// Tokens of Microsoft Entra ID: of an application that may do all, and of one that may only look after identities.

'use strict';

const { Registry } = require('azure-iothub');
const { assert, body, host, main, onPort, refused, same, step } = require('./steps');

// A credential as the SDK takes one, made of an application's secret.
class Application {
  constructor(id, secret = 'sesame') {
    Object.assign(this, { id, secret, asked: 0 });
  }

  async getToken(scope) {
    this.asked += 1;
    const form = { grant_type: 'client_credentials', client_id: this.id, client_secret: this.secret, scope };
    const url = `${process.env.ENTRA_AUTHORITY}/tenant/oauth2/v2.0/token`;
    const answer = await fetch(url, { method: 'POST', body: new URLSearchParams(form) });
    const token = await answer.json();
    if (!answer.ok) throw new Error(token.error);
    return { token: token.access_token, expiresOnTimestamp: Date.now() + token.expires_in * 1000 };
  }
}

const registry = (credential) => onPort(Registry.fromTokenCredential(host, credential));

main(async () => {
  const owner = new Application('owner');
  const hub = registry(owner);

  await step("call with a secret's token", async () => {
    await hub.create({ deviceId: 'device' });
    same((await body(hub.getTwin('device'))).deviceId, 'device');
    same(owner.asked, 1);
  });

  await step('call with a wrong secret', () =>
    assert.rejects(registry(new Application('owner', 'wrong')).get('device'), { message: 'invalid_client' }));

  await step('call without the role', async () => {
    const registrar = registry(new Application('registrar'));
    same((await body(registrar.get('device'))).deviceId, 'device');
    await refused('UnauthorizedError', 401, 'IotHubUnauthorizedAccess', () => registrar.getTwin('device'));
  });

  await step('modules of a device that does not exist', () =>
    // So it is with Entra ID; with shared access signatures it would be 401.
    refused('DeviceNotFoundError', 404, 'DeviceNotFound', () => hub.getModule('no-such-device', 'module')));

  await step('change many at once', async () => {
    assert((await body(hub.addDevices([{ deviceId: 'another' }]))).isSuccessful);
  });
});
