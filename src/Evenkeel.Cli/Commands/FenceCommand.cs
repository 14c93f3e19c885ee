using System.CommandLine;
using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Cli.Control;
using Evenkeel.Core.Model;
using Spectre.Console;

namespace Evenkeel.Cli.Commands;

/// <summary><c>fence NODE</c>: cuts a node off, and says when its device has confirmed.</summary>
internal static class FenceCommand
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);

    public static Command Create()
    {
        var node = new Argument<string>("NODE") { Description = "The node's name." };
        var on = new Option<bool>("--on") { Description = "Switch it on again, by its fence devices." };
        var confirm = new Option<bool>("--confirm") { Description = "You have made sure yourself that it is off; nothing is asked of a device." };
        var cancel = new Option<bool>("--cancel") { Description = "Do not cut it off after all." };
        var timeout = new Option<int>("--timeout") { Description = "How long to wait for a device's confirmation, in seconds (0 to 3600).", DefaultValueFactory = _ => 120, HelpName = "SECONDS" };
        timeout.Validators.Add(result => { if (result.GetValueOrDefault<int>() is < 0 or > 3600) result.AddError("--timeout is 0 to 3600 seconds."); });
        var yes = new Option<bool>("--yes", "-y") { Description = "Do not ask." };
        var output = Options.Output();
        var command = new DescribedCommand("fence", "Cuts a node off by its fence device, and waits until the device confirms.", """
            Whatever the node runs ends at once, as by a power failure; its services go on elsewhere.
            The agents go on trying after this command has given up waiting; --cancel ends that.
            --confirm is for a node without a device, or whose device is dead: if the node is not
            really off, what only fencing protects (a shared disk) may run twice and lose data.
            Exit code 0 once it is confirmed, 1 not confirmed in time, 4 refused.
            """)
        { node, on, confirm, cancel, timeout, yes, output };
        command.Validators.Add(result =>
        {
            if (new[] { on, confirm, cancel }.Count(option => result.GetValue(option)) > 1) result.AddError("Only one of --on, --confirm and --cancel.");
        });
        return command.Acts(async call =>
        {
            var name = new NodeName(call.Parsed.GetRequiredValue(node));
            var wish = call.Parsed.GetValue(on) ? FenceWish.On : call.Parsed.GetValue(confirm) ? FenceWish.Confirm : call.Parsed.GetValue(cancel) ? FenceWish.Cancel : FenceWish.Off;
            var json = call.Parsed.GetValue(output) == OutputFormat.Json;
            if (wish is FenceWish.Off or FenceWish.Confirm && !call.Parsed.GetValue(yes))
                await AskAsync(name, wish, call.Output, json, call.Cancellation);
            var done = await OrderAsync(call.Client, name, wish, call.Cancellation);
            if (wish == FenceWish.Off && call.Parsed.GetValue(timeout) is > 0 and var seconds)
                done = await ConfirmedAsync(call.Client, name, TimeSpan.FromSeconds(seconds), call.Cancellation);
            call.Output.WriteLine(json ? JsonSerializer.Serialize(done, ClientJson.Default.Done) : done.Message);
            return ExitCode.Success;
        });
    }

    private static async Task AskAsync(NodeName node, FenceWish wish, TextWriter output, bool json, CancellationToken cancellation)
    {
        if (json || !Terminal.IsTerminal(output) || Console.IsInputRedirected)
            throw new CommandFailedException(ExitCode.Refused, $"{(wish == FenceWish.Off ? $"this ends everything on {node}" : $"this trusts your word that {node} is off")}, and there is nobody to ask; nothing was changed", "If that is meant: --yes");
        var question = wish == FenceWish.Off ? $"Cut {node} off? Everything on it ends at once." : $"Have you made sure that {node} is off?";
        if (!await Terminal.For(output).PromptAsync(new ConfirmationPrompt(question) { DefaultValue = false }, cancellation))
            throw new CommandFailedException(ExitCode.Refused, "nothing was changed");
    }

    private static async Task<Done> OrderAsync(ControlClient client, NodeName node, FenceWish wish, CancellationToken cancellation)
    {
        try
        {
            return await client.FenceAsync(node, new FenceOrder(wish, Environment.UserName), cancellation);
        }
        // A quick device ends the node before its own agent has answered.
        catch (ConnectionLostException) when (wish == FenceWish.Off && client.Hello.Node == node)
        {
            return new Done($"{node} was asked itself, and did not live to answer: it is probably cut off; see 'evenkeel status' on another node");
        }
    }

    private static async Task<Done> ConfirmedAsync(ControlClient client, NodeName node, TimeSpan patience, CancellationToken cancellation)
    {
        var until = DateTime.UtcNow + patience;
        var seen = false;
        NodeReport? report = null;
        while (true)
        {
            report = (await StatusAsync(client, cancellation))?.Nodes.FirstOrDefault(one => one.Name == node) ?? report;
            if (report?.Fence is { Phase: FencePhase.Confirmed } fence) return new Done($"{node} is cut off: {fence.Detail}");
            // A node that is switched on at once may be back before anybody looked.
            if (seen && report is { Fence: null }) return new Done($"{node} was cut off, and is back");
            seen |= report?.Fence is not null;
            if (DateTime.UtcNow >= until)
                throw new CommandFailedException(ExitCode.Failed, $"{node} is not confirmed off after {patience.TotalSeconds:0} s{(report?.Fence?.Detail is { Length: > 0 } why ? ": " + why : "")}; the agents go on trying",
                    $"Switch it off by hand, make sure, then: evenkeel fence {node} --confirm; or take it back: evenkeel fence {node} --cancel");
            await Task.Delay(Look, cancellation);
        }
    }

    // The agent that took the order may be the one that is cut off; another of this machine's can tell as well.
    private static async Task<StatusReport?> StatusAsync(ControlClient client, CancellationToken cancellation)
    {
        try
        {
            return await client.StatusAsync(cancellation);
        }
        catch (CommandFailedException)
        {
            try
            {
                using var other = await ClusterFinder.FindAsync(client.Hello.Cluster, ControlSockets.Directories, cancellation);
                return await other.StatusAsync(cancellation);
            }
            catch (CommandFailedException)
            {
                return null;
            }
        }
    }
}
