using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection.Leases;
using Evenkeel.Guard;
using Evenkeel.Guard.Datagrams;
using Evenkeel.Guard.Enforcement;
using Evenkeel.Guard.Enforcement.Processes;
using Evenkeel.Guard.Loop;
using Evenkeel.Guard.Native;
using Evenkeel.Guard.Pipe;
using Evenkeel.Guard.Time;

if (RunMode.TryHandle(args, out var exitCode)) return exitCode;

// Exit codes: 0 after an orderly shutdown, 2 wrong arguments, 3 another guard runs for this node.
if (GuardOptions.Parse(args) is not { } options)
{
    Console.Error.WriteLine(GuardOptions.Usage);
    return 2;
}

// Its own session: neither the agent's terminal nor its end concerns the guard. (Fails only for a session's leader, who has one.)
_ = Libc.SetSid();
if (options.LogFile is { } log)
{
    using var file = File.OpenHandle(log, FileMode.Append, FileAccess.Write, FileShare.ReadWrite);
    for (var standard = 1; standard <= 2; standard++) _ = Libc.Dup2((int)file.DangerousGetHandle(), standard);
}

using var nodeLock = NodeLock.TryTake(options.StateDirectory);
if (nodeLock is null)
{
    GuardLog.Write($"another guard holds {options.StateDirectory}");
    return 3;
}

// Read under the lock: a predecessor's last vote lies before it, and this guard votes a lease's length after it.
var startedAt = Clocks.Read();
Span<byte> random = stackalloc byte[8];
RandomNumberGenerator.Fill(random);
var session = new GuardSession(BinaryPrimitives.ReadUInt64LittleEndian(random) | 1);

using var signals = new StopSignals();
var enforcer = new LinuxEnforcer(options.StateDirectory);
if (enforcer.Swept.Count > 0) GuardLog.Write($"an earlier guard had left {string.Join(", ", enforcer.Swept)}: ended");
IReadOnlyList<string> missing = RuntimeFeature.IsDynamicCodeCompiled
    ? [.. enforcer.Missing, "the guard is not compiled ahead of time: a method's first use may delay a beat"] : enforcer.Missing;
var core = new GuardCore(session, Environment.ProcessId, missing, startedAt);
using var loop = new GuardLoop(core, new GuardNetwork(session, GuardLog.Write), new AgentDesk(new AgentServer(options.SocketPath)), enforcer, signals.Descriptor);
GuardLog.Write($"session {session} on {options.SocketPath}");
loop.Run();
GuardLog.Write("released everything");
return 0;
