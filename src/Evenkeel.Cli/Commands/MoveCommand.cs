using System.CommandLine;
using System.Text.Json;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Control;
using Evenkeel.Cli.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary><c>move SERVICE|VIP NODE</c>: a planned switchover.</summary>
internal static class MoveCommand
{
    public static Command Create()
    {
        var what = new Argument<string>("SERVICE|VIP") { Description = "A single-active service or a virtual IP; service/NAME or vip/NAME where both have the name." };
        var node = new Argument<string>("NODE") { Description = "Where to." };
        var noWait = new Option<bool>("--no-wait") { Description = "Answer once the wish is committed; 'evenkeel status' shows what becomes of it." };
        var timeout = Options.Timeout("How long to wait until it acts there, in seconds (1 to 86400).", 600);
        var output = Options.Output();
        return new DescribedCommand("move", "Moves a single-active service or a virtual IP to a node.", """
            The old owner stops and releases first, so this costs less than a failover. Waits until it
            acts on the node. The members of a group of virtual IPs move together.
            Exit code 0 once it acts there, 1 when that took too long (it may yet come), 4 when the node
            may not own it now ('evenkeel explain' says more).
            """)
        { what, node, noWait, timeout, output }.Acts(async call =>
        {
            var resource = Resolve(call.Parsed.GetRequiredValue(what), await call.Client.StatusAsync(call.Cancellation));
            var to = new NodeName(call.Parsed.GetRequiredValue(node));
            var done = await call.Client.MoveAsync(new MoveOrder(resource, to), call.Cancellation);
            if (done.Revision is { } revision && !call.Parsed.GetValue(noWait))
                done = await PlannedMove.UntilDoneAsync(call.Client, resource, to, revision, TimeSpan.FromSeconds(call.Parsed.GetValue(timeout)), call.Cancellation);
            call.Output.WriteLine(call.Parsed.GetValue(output) == OutputFormat.Json ? JsonSerializer.Serialize(done, ClientJson.Default.Done) : done.Message);
            return ExitCode.Success;
        });
    }

    private static ResourceId Resolve(string name, StatusReport status)
    {
        var known = status.Vips.Select(vip => ResourceId.Vip(vip.Name)).Concat(status.Services.Select(service => ResourceId.Service(service.Name))).ToList();
        var found = known.Where(resource => resource.Value == name || resource.Name == name).ToList();
        return found.Count switch
        {
            1 => found[0],
            0 => throw new CommandFailedException(ExitCode.Usage, $"there is no service or virtual IP '{name}'", Spelling.Advice(name, [.. known.Select(resource => resource.Name)])),
            _ => throw new CommandFailedException(ExitCode.Usage, $"'{name}' is a service and a virtual IP", $"Write {found[0]} or {found[1]}"),
        };
    }
}
