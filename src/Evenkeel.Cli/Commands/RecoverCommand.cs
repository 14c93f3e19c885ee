using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Agent.Setup;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Store.Etcd;

namespace Evenkeel.Cli.Commands;

/// <summary><c>recover</c>: brings the coordination store back after its majority is lost for good.</summary>
internal static class RecoverCommand
{
    public static Command Create()
    {
        var snapshot = new Option<string?>("--from-snapshot") { Description = "from this snapshot; what was committed after it is lost", HelpName = "FILE" };
        var last = new Option<bool>("--last-member") { Description = "from this node's own etcd data, the last entries included" };
        var rejoin = new Option<bool>("--rejoin") { Description = "give this node's etcd data up and join the store that runs elsewhere" };
        var off = new Option<bool>("--others-are-off") { Description = "you have made sure that every other voting node is off, or its agent and etcd stopped" };
        var fence = new Option<bool>("--fence") { Description = "cut every other voting node off by its fence device, and go on only when each is confirmed off" };
        var yes = Confirmation.Yes();
        var state = State();
        var command = new DescribedCommand("recover", "Brings the coordination store back on this node after its majority is lost for good.", """
            Only when the lost voting nodes will not come back: as long as they may, wait for them, nothing is lost.
            Stop this node's agent first, and make sure that the other voting nodes are off: two of them that come back
            as they were go on as the old cluster, beside the new one. Where they have fence devices, --fence does it: each
            is cut off, and it is refused unless every device confirms. Without devices you must say --others-are-off; it is
            refused when one of them answers. With both, your word is taken for those that have no device. With neither, on
            a terminal, you are asked whether to fence them.

            On the node with the best data:  evenkeel recover --last-member --fence   (or --others-are-off)
                    or, its data gone too:   evenkeel recover --from-snapshot FILE --fence
            and start its agent.
            On each other node, before its agent starts again:  evenkeel recover --rejoin

            The store begins a new incarnation, which outranks every right given before: owners are chosen anew, and a
            database's copies are compared before one becomes the primary. The data that were there are put aside, not
            deleted. When it is refused or fails, nothing was changed.
            """)
        { snapshot, last, rejoin, off, fence, yes, state };
        command.Validators.Add(result =>
        {
            var ways = (result.GetValue(snapshot) is null ? 0 : 1) + (result.GetValue(last) ? 1 : 0) + (result.GetValue(rejoin) ? 1 : 0);
            if (ways != 1) result.AddError("Exactly one of --from-snapshot, --last-member and --rejoin.");
            if (result.GetValue(rejoin) && result.GetValue(fence)) result.AddError("--rejoin fences nobody: the others are the cluster that it joins.");
        });
        command.SetAction((parsed, cancellation) => RunAsync(Path.GetFullPath(parsed.GetValue(state)!), parsed.GetValue(snapshot), parsed.GetValue(last), parsed.GetValue(rejoin),
            parsed.GetValue(off), parsed.GetValue(fence), parsed.GetValue(yes), parsed.InvocationConfiguration.Output, cancellation));
        return command;
    }

    internal static Option<string> State() => new("--state") { Description = "state directory", HelpName = "DIRECTORY", DefaultValueFactory = _ => NodeSetup.DefaultStateDirectory };

    internal static AgentConfiguration Load(string state)
    {
        var file = Path.Combine(state, NodeSetup.ConfigurationFile);
        try
        {
            return AgentConfiguration.Load(file);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new CommandFailedException(ExitCode.Configuration, $"{file} cannot be used: {exception.Message}", "Is this the node's state directory? Name it with --state");
        }
    }

    private static async Task<int> RunAsync(string state, string? snapshot, bool last, bool rejoin, bool off, bool fence, bool yes, TextWriter output, CancellationToken cancellation)
    {
        var configuration = Load(state);
        try
        {
            var cutsOff = !rejoin && (fence || !off);
            var recovery = new StoreRecovery(configuration, output.WriteLine, cutsOff ? CutOffAsync : null);
            if (!rejoin && !off && !fence && (yes || !Confirmation.IsPossible(output)))
            {
                throw new CommandFailedException(ExitCode.Refused, "a voting node that still runs would go on as the old cluster beside the new one: nothing was changed",
                    "Have the others cut off by their fence devices with --fence; or make sure that every other voting node is off (power, or agent and etcd stopped), then say so with --others-are-off");
            }

            if (cutsOff)
            {
                await OthersProbe.ExpectNoMajorityAsync(configuration, cancellation);
            }
            else if (!rejoin)
            {
                await OthersProbe.ExpectSilenceAsync(configuration, cancellation);
            }

            if (!yes)
            {
                var what = rejoin ? $"this gives up the etcd data of {configuration.Node}"
                    : $"this {(fence ? "cuts every other voting node off, " : "")}ends the cluster that was and begins its next incarnation here";
                await Confirmation.AskAsync($"{what}. Go on?", what, output, cancellation);
            }

            if (rejoin)
            {
                recovery.Rejoin();
                OfflineAudit.Add(state, configuration.Node, "recover --rejoin", output.WriteLine);
                output.WriteLine($"{configuration.Node} will join the store that runs on the other nodes. Start it: {InitCommand.AgentLine(state)}");
                return ExitCode.Success;
            }

            var incarnation = last ? await recovery.FromLastMemberAsync(cancellation) : await recovery.FromSnapshotAsync(snapshot!, cancellation);
            OfflineAudit.Add(state, configuration.Node, $"recover {(last ? "--last-member" : $"--from-snapshot {Path.GetFullPath(snapshot!)}")}{(cutsOff ? " --fence" : "")}{(off ? " --others-are-off" : "")}", output.WriteLine);
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"The coordination store is recovered on {configuration.Node}, as incarnation {incarnation}."));
            output.WriteLine($"Start it: {InitCommand.AgentLine(state)}");
            output.WriteLine("On each other voting node, before its agent starts: evenkeel recover --rejoin; for one that is lost: evenkeel replace NODE");
            if (cutsOff)
            {
                output.WriteLine("The nodes that were cut off stay off. Switch them on one at a time: two that start as they were would be the old cluster's majority");
            }

            return ExitCode.Success;
        }
        catch (SetupRefusedException exception)
        {
            throw new CommandFailedException(ExitCode.Refused, exception.Message, exception.Mend);
        }
        catch (Exception exception) when (exception is EtcdStartException or InvalidDataException or StoreUnavailableException)
        {
            throw new CommandFailedException(ExitCode.Failed, $"{exception.Message}; nothing was changed");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException(ExitCode.Failed, exception.Message, "Is the directory writable (root?), and is there room for a second copy of etcd's data?");
        }

        async Task CutOffAsync(ClusterSpec spec)
        {
            var others = new OthersFencing(configuration, spec);
            if (!fence && others.WithoutDevice.Count == 0)
            {
                await Confirmation.AskAsync($"Cut the other voting nodes off by their fence devices: {others.Words}? Everything on them ends at once.", "this ends everything on the other voting nodes", output, cancellation);
            }

            // Also what a recovery that is refused in the end has cut off stands on the trail.
            await others.CutOffAsync(off, line =>
            {
                output.WriteLine(line);
                OfflineAudit.Add(state, configuration.Node, $"recover: {line}", output.WriteLine);
            }, cancellation);
            // A device that is cabled to another machine says off, too.
            await OthersProbe.ExpectSilenceAsync(configuration, cancellation);
        }
    }
}
