using System.Collections.Concurrent;
using System.Diagnostics;
using Evenkeel.PrivateConnection.Guard;
using Evenkeel.TestAgent;

// The smallest agent that a guard can have: does what its standard input says (acquire EPOCH, release EPOCH, launch …), and
// writes what happens to standard output. It exists so that tests can stop and kill a real process that holds a listener.
// `ledger CONNECTION` is a client of a database instead.
if (args is ["ledger", var where]) return await LedgerClients.RunAsync(where);
var options = TestAgentOptions.Parse(args);
var events = new BlockingCollection<object>();
await using var link = await GuardClient.ConnectAsync(options.Guard, CancellationToken.None);
link.Broken += reason => events.Add(new LinkBroken(reason));
link.Received += events.Add;

new Thread(() =>
{
    while (Console.ReadLine() is { } line) events.Add(line);
    events.Add(new InputEnded());
}) { IsBackground = true }.Start();

using var desk = new TestDesk(options, link);
// The loop that the guard watches: it beats by the clock, not by what happens, since the guard answers each beat.
var sinceBeat = Stopwatch.StartNew();
while (!desk.IsDone)
{
    if (events.TryTake(out var happened, TimeSpan.FromMilliseconds(20))) desk.Take(happened);
    if (sinceBeat.ElapsedMilliseconds < 50) continue;
    sinceBeat.Restart();
    desk.Beat();
}
return 0;

internal sealed record LinkBroken(string Reason);
internal sealed record InputEnded;
