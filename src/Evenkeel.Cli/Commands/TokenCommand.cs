using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary><c>token NODE</c>: lets a server join as that node, once.</summary>
internal static class TokenCommand
{
    public static Command Create()
    {
        var node = new Argument<string>("NODE") { Description = "The node of the cluster's file that the server will be." };
        var lifetime = Lifetime();
        var output = Options.Output();
        return new DescribedCommand("token", "Prints the line that makes a new server a node of this cluster.", """
            Ask on the node that 'evenkeel init' was run on: it has the key of the cluster's certificate authority.
            The line holds a token that is good once, for this node, and for --lifetime; a newer token ends an older one.
            Whoever has it can be that node: bring it to the new server by a safe way. Every attempt to use it is on the
            audit trail (evenkeel audit). The new server enrols over the private connection, port 7806.
            """)
        { node, lifetime, output }.Acts(async call =>
        {
            _ = Duration.TryParse(call.Parsed.GetValue(lifetime)!, out var lasts);
            var made = await call.Client.TokenAsync(new TokenOrder(new NodeName(call.Parsed.GetRequiredValue(node)), lasts), call.Cancellation);
            Print(call, made, call.Parsed.GetValue(output));
            return ExitCode.Success;
        });
    }

    /// <summary>How long a token lasts, for every command that makes one.</summary>
    internal static Option<string> Lifetime()
    {
        var lifetime = new Option<string>("--lifetime") { Description = "How long it may be used: 10m, 1h, at most 7d.", HelpName = "TIME", DefaultValueFactory = _ => "1h" };
        lifetime.Validators.Add(result =>
        {
            if (!Duration.TryParse(result.GetValueOrDefault<string>() ?? "", out _)) result.AddError("--lifetime is a time like 30m, 1h, 7d.");
        });
        return lifetime;
    }

    internal static void Print(ClusterCall call, NewToken made, OutputFormat format)
    {
        if (format == OutputFormat.Json)
        {
            call.Output.WriteLine(JsonSerializer.Serialize(made, ClientJson.Default.NewToken));
            return;
        }

        call.Output.WriteLine($"evenkeel join {made.Node} --from {made.From} --token {made.Token} --authority {made.AuthorityHash}");
        call.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Run this line on the server that shall be {made.Node}, as root, before {made.Ends.ToLocalTime():yyyy-MM-dd HH:mm:ss}; it works once."));
    }
}
