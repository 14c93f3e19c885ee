using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Agent.Setup;
using Evenkeel.Agent.Trust;

namespace Evenkeel.Cli.Commands;

/// <summary><c>ca</c>: whom the cluster trusts: its certificate authority, the nodes' certificates, the guards' keys.</summary>
internal static class CaCommand
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(500);

    public static Command Create() => new("ca", "The cluster's certificate authority, its nodes' certificates and its guards' keys.")
    {
        CreateStatus(), CreateShow(), CreateRotate(), CreateGuardKeys(), CreateRecreate(),
    };

    private static DescribedCommand CreateStatus()
    {
        var output = Options.Output();
        return new DescribedCommand("status", "Shows the authority, each node's certificate, and how far a change is.", """
            Certificates are renewed by themselves when two thirds of their life are over, by the node that has the
            authority's key; the guards' key is changed every week, and when a node is removed.
            Exit code 1 while a change is under way.
            """)
        { output }.Acts(async call =>
        {
            var status = await call.Client.TrustAsync(call.Cancellation);
            if (call.Parsed.GetValue(output) == OutputFormat.Json)
            {
                call.Output.WriteLine(JsonSerializer.Serialize(status, ClientJson.Default.TrustStatus));
            }
            else
            {
                Print(call.Output, status);
            }

            return status.Done ? ExitCode.Success : ExitCode.Failed;
        });
    }

    private static DescribedCommand CreateShow() => new DescribedCommand("show", "Prints the certificates of the authorities that nodes trust now (PEM).",
        "For clients of the API, which trust them: two while one takes the other's place.").Acts(async call =>
    {
        foreach (var one in (await call.Client.TrustAsync(call.Cancellation)).Authorities)
        {
            call.Output.Write(one.Certificate);
        }

        return ExitCode.Success;
    });

    private static DescribedCommand CreateRotate()
    {
        var step = new Option<bool>("--step") { Description = "One phase only; the next one when asked for again." };
        var lost = new Option<bool>("--lost-key") { Description = "The present authority's key is lost for good: this node makes the new one." };
        var noWait = new Option<bool>("--no-wait") { Description = "Return at once; it goes on by itself." };
        var yes = Confirmation.Yes();
        return new DescribedCommand("rotate", "Puts a new certificate authority in the place of the present one, while everything runs.", """
            Three phases: every node trusts both; every node gets a certificate of the new one; the old one is dropped.
            Each begins when every node has reported that it is through with the one before. etcd is started anew twice,
            one member at a time. Interrupting this command, or any agent, stops nothing: what is committed goes on.
            Ask on the node that has the key (evenkeel ca status). A node that is away holds the change up: bring it back,
            or take it out with 'evenkeel remove'.
            """)
        { step, lost, noWait, yes }.Acts(async call =>
        {
            if (call.Parsed.GetValue(lost) && !call.Parsed.GetValue(yes))
            {
                await Confirmation.AskAsync("Is the authority's key lost for good?", "this makes a new authority beside one whose key may still be somewhere", call.Output, call.Cancellation);
            }

            var done = await call.Client.RotateAuthorityAsync(new AuthorityRotation(call.Parsed.GetValue(step), call.Parsed.GetValue(lost)), call.Cancellation);
            call.Output.WriteLine(done.Message);
            return call.Parsed.GetValue(noWait) ? ExitCode.Success : await FollowAsync(call, call.Parsed.GetValue(step));
        });
    }

    private static async Task<int> FollowAsync(ClusterCall call, bool step)
    {
        for (string? said = null; ; await Task.Delay(Period, call.Cancellation))
        {
            var status = await call.Client.TrustAsync(call.Cancellation);
            var waits = status.Nodes.Where(node => node.Waits is not null).ToList();
            if (status.Done || (step && waits.Count == 0))
            {
                call.Output.WriteLine(status.Done ? $"Done: {status.Authorities[^1].Hash} is the only authority." : "This phase is done; the next one: evenkeel ca rotate --step");
                return ExitCode.Success;
            }

            var says = $"{Words(status)}{(waits.Count == 0 ? "" : ": " + string.Join("; ", waits.Select(node => $"{node.Node} {node.Waits}")))}";
            if (says != said)
            {
                call.Output.WriteLine(said = says);
            }
        }
    }

    private static DescribedCommand CreateGuardKeys() => new DescribedCommand("guard-keys", "Has the key of the guards' datagrams replaced now.",
        "New key known to all, then used by all, then the old one dropped: no lease notices. It happens by itself every week, and when a node is removed.").Acts(async call =>
    {
        call.Output.WriteLine((await call.Client.RenewGuardKeysAsync(call.Cancellation)).Message);
        return ExitCode.Success;
    });

    private static DescribedCommand CreateRecreate()
    {
        var state = RecoverCommand.State();
        var yes = Confirmation.Yes();
        var command = new DescribedCommand("recreate", "Makes a new authority on this node when no certificate of the old one is good any more.", """
            The last resort: the authority's key is lost AND certificates have ended, so that nodes do not accept each other.
            (With certificates that are still good: evenkeel ca rotate --lost-key, without an interruption.)
            Stop every agent. Run this on one node and start its agent. For each other node: 'evenkeel token NODE' here,
            and the line that it prints there with --renew added; then start its agent. See docs/operations/certificates.md.
            """)
        { state, yes };
        command.SetAction(async (parsed, cancellation) =>
        {
            var directory = Path.GetFullPath(parsed.GetValue(state)!);
            var configuration = RecoverCommand.Load(directory);
            var output = parsed.InvocationConfiguration.Output;
            if (!parsed.GetValue(yes))
            {
                await Confirmation.AskAsync("Make a new authority, which no other node trusts yet?", "this makes a new authority, which no other node trusts yet", output, cancellation);
            }

            try
            {
                var hash = AuthorityRecreation.Run(configuration, directory);
                OfflineAudit.Add(directory, configuration.Node, $"ca recreate: {hash}", output.WriteLine);
                output.WriteLine($"The new authority is {hash}; {configuration.Node} has a certificate of it.");
                output.WriteLine($"Start its agent: {InitCommand.AgentLine(directory)}");
                output.WriteLine("For each other node: 'evenkeel token NODE' here; the line that it prints, with --renew added, there.");
                return ExitCode.Success;
            }
            catch (SetupRefusedException exception)
            {
                throw new CommandFailedException(ExitCode.Refused, exception.Message, exception.Mend);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                throw new CommandFailedException(ExitCode.Failed, exception.Message, "Is the directory writable (root?), and is there room?");
            }
        });
        return command;
    }

    private static void Print(TextWriter output, TrustStatus status)
    {
        output.WriteLine(Words(status));
        foreach (var one in status.Authorities)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {one.Hash}  until {one.Ends.ToUniversalTime():yyyy-MM-dd}{(one.Issues ? "  signs" : "")}"));
        }

        output.WriteLine($"its key: {(status.Holder is { } holder ? $"on {holder}" : "not on this node; ask on another")}");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"guards' keys: {string.Join(", ", status.GuardKeys)}; {status.GuardSeals} seals{(status.GuardSealsSince is { } since ? $" since {since.ToUniversalTime():yyyy-MM-dd HH:mm}Z" : "")}"));
        foreach (var node in status.Nodes)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{node.Node}: certificate {node.Serial ?? "not told"}{(node.Ends is { } ends ? $" until {ends.ToUniversalTime():yyyy-MM-dd HH:mm}Z" : "")}, guard has {(node.GuardKeys.Count > 0 ? string.Join(", ", node.GuardKeys) : "not said")}{(node.Waits is { } waits ? $"; {waits}" : "")}"));
        }
    }

    private static string Words(TrustStatus status) => status.Phase switch
    {
        AuthorityPhase.Trust => "phase 1 of 3, trust: the nodes learn to trust the new authority beside the old one",
        AuthorityPhase.Reissue => "phase 2 of 3, reissue: the nodes get certificates of the new authority",
        _ => status.Done ? "settled: one authority" : "phase 3 of 3, drop: the nodes forget the old authority",
    };
}
