// A 2.1 station on npm's typed-ocpp over ws: every frame that the server sends is held against its schemas.
// Arguments: address, id, secret, files with the root of our certificate and with a certificate request. Writes JSON lines; one line on its input ends the session.
'use strict';
const { readFileSync } = require('fs');
const { OCPP21 } = require('typed-ocpp');
const { WebSocket } = require('ws');

const [address, identity, secret, root, request] = process.argv.slice(2);
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');
const stamp = () => new Date().toISOString();
const failures = [];
const asked = [];
const waiting = new Map();
let count = 0;

const socket = new WebSocket(address, ['ocpp2.1'], {
  ca: readFileSync(root),
  headers: { Authorization: 'Basic ' + Buffer.from(`${identity}:${secret}`).toString('base64') },
});
const modes = 'ChargingOnly,CentralSetpoint,CentralFrequency,LocalFrequency,ExternalSetpoint,ExternalLimits,LocalLoadBalancing,Idle';
const controls =
  'EnterService,FreqDroop,FreqWatt,FixedPFAbsorb,FixedPFInject,FixedVar,Gradients,HFMustTrip,HFMayTrip,HVMustTrip,HVMomCess,HVMayTrip,' +
  'LimitMaxDischarge,LFMustTrip,LVMustTrip,LVMomCess,LVMayTrip,PowerMonitoringMustTrip,VoltVar,VoltWatt,WattPF,WattVar';
const row = (name, variable, value) => ({
  component: { name, evse: { id: 1 } }, variable: { name: variable }, variableAttribute: [{ value }],
});

const same = (list) => list.map(({ component, variable }) => ({ component, variable }));
let inventoryAsked;
const inventory = new Promise((resolve) => { inventoryAsked = resolve; });
let certificateCame;
const certificate = new Promise((resolve) => { certificateCame = resolve; });
let booted = false;
// A report follows the answer that promises it.
const then = (answer, action, payload) => (setImmediate(() => call(action, payload)), answer);
const report = (requestId) => ({
  requestId, generatedAt: stamp(), seqNo: 0, reportData: [row('V2XChargingCtrlr', 'SupportedOperationModes', modes)],
});
const OK = { status: 'Accepted' };
const answers = {
  SetVariables: (p) => ({ setVariableResult: same(p.setVariableData).map((v) => ({ ...v, attributeStatus: 'Accepted' })) }),
  GetVariables: (p) => ({
    getVariableResult: same(p.getVariableData).map((v) => ({ ...v, attributeStatus: 'UnknownVariable' })),
  }),
  GetBaseReport: (p) => (booted ? then(OK, 'NotifyReport', report(p.requestId)) : (inventoryAsked(p.requestId), OK)),
  GetReport: (p) => then(OK, 'NotifyReport', report(p.requestId)),
  GetMonitoringReport: (p) => then(OK, 'NotifyMonitoringReport', { requestId: p.requestId, generatedAt: stamp(), seqNo: 0 }),
  CustomerInformation: (p) =>
    p.report ? then(OK, 'NotifyCustomerInformation', { requestId: p.requestId, generatedAt: stamp(), seqNo: 0, data: 'x' }) : OK,
  SetVariableMonitoring: (p) => ({
    setMonitoringResult: p.setMonitoringData.map(({ component, variable, type, severity }) => ({
      component, variable, type, severity, status: 'Accepted', id: 4,
    })),
  }),
  ClearVariableMonitoring: (p) => ({ clearMonitoringResult: p.id.map((id) => ({ id, status: 'Accepted' })) }),
  GetTransactionStatus: () => ({ messagesInQueue: false }),
  GetLocalListVersion: () => ({ versionNumber: 0 }),
  GetInstalledCertificateIds: () => ({ status: 'NotFound' }),
  UnlockConnector: () => ({ status: 'Unlocked' }),
  UnpublishFirmware: () => ({ status: 'Unpublished' }),
  CertificateSigned: () => (certificateCame(), OK),
  GetCompositeSchedule: () => ({ status: 'Rejected' }),
  GetDERControl: () => ({ status: 'NotFound' }),
  GetChargingProfiles: () => ({ status: 'NoProfiles' }),
};

function call(action, payload) {
  const frame = [2, `t${(count += 1)}`, action, payload];
  if (!OCPP21.validateCall(frame)) failures.push({ own: action, why: String(OCPP21.validateCall.errors) });
  return new Promise((resolve) => {
    waiting.set(frame[1], [frame, resolve]);
    socket.send(JSON.stringify(frame));
  });
}

socket.on('message', (raw) => {
  const frame = JSON.parse(raw);
  if (!OCPP21.validate(frame)) failures.push({ frame, why: String(OCPP21.validate.errors) });
  if (frame[0] === 2) {
    asked.push(frame[2]);
    const answer = [3, frame[1], (answers[frame[2]] || (() => OK))(frame[3])];
    if (!OCPP21.checkCallResult(answer, frame)) failures.push({ own: frame[2], why: String(OCPP21.checkCallResult.errors) });
    socket.send(JSON.stringify(answer));
    return;
  }
  const [question, resolve] = waiting.get(frame[1]);
  if (frame[0] === 3 && !OCPP21.checkCallResult(frame, question)) {
    failures.push({ frame, why: String(OCPP21.checkCallResult.errors) });
  }
  resolve(frame[2]);
});

async function main() {
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const boot = await call('BootNotification', { reason: 'PowerUp', chargingStation: { model: 'T', vendorName: 'Peer' } });
  await call('NotifyReport', {
    requestId: await inventory, generatedAt: stamp(), seqNo: 0,
    reportData: [row('V2XChargingCtrlr', 'SupportedOperationModes', modes), row('DCDERCtrlr', 'ModesSupported', controls)],
  });
  const idToken = { idToken: 'BUS-1', type: 'eMAID' };
  const { allowedEnergyTransfer } = await call('Authorize', { idToken });
  await call('TransactionEvent', {
    eventType: 'Started', timestamp: stamp(), triggerReason: 'Authorized', seqNo: 0,
    transactionInfo: { transactionId: 'q-1', chargingState: 'Charging' }, evse: { id: 1 }, idToken,
  });
  booted = true;
  await call('SignCertificate', { csr: readFileSync(request, 'utf8'), certificateType: 'ChargingStationCertificate' });
  await certificate;
  say({ boot: boot.status, gives: allowedEnergyTransfer.includes('DC_BPT') });
  await new Promise((resolve) => process.stdin.once('data', resolve));
  await call('Heartbeat', {});
  say({ asked, failures });
  socket.close();
  process.exit(0);
}

main().catch((error) => {
  say({ error: String(error), failures });
  process.exit(1);
});
