using System.CommandLine;
using System.Net;
using Evenkeel.Agent.Enrolment;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Agent.Local;
using Evenkeel.Agent.Setup;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Cli.Commands;

/// <summary><c>join NODE</c>: makes this server a node of a cluster that is there, by a token.</summary>
internal static class JoinCommand
{
    public static Command Create()
    {
        var node = new Argument<string>("NODE") { Description = "which node of the cluster's file this server is" };
        var from = new Option<string>("--from") { Description = "private address of the node that made the token (port 7806 unless said)", HelpName = "ADDRESS[:PORT]", Required = true };
        var token = new Option<string>("--token") { Description = "what 'evenkeel token' printed; good once", HelpName = "TOKEN", Required = true };
        var authority = new Option<string>("--authority") { Description = "hash of the cluster's certificate authority, by which this server knows the right one", HelpName = "sha256:HEX", Required = true };
        var state = new Option<string>("--state") { Description = "state directory", HelpName = "DIRECTORY", DefaultValueFactory = _ => NodeSetup.DefaultStateDirectory };
        var link = new Option<string?>("--public-interface") { Description = "the interface for virtual IPs; by default the one with the node's public address", HelpName = "NAME" };
        var renew = new Option<bool>("--renew") { Description = "this server is the node already: it gets a new certificate, and keeps everything else" };
        from.Validators.Add(result =>
        {
            if (Endpoint(result.GetValueOrDefault<string>() ?? "") is null) result.AddError("--from is an IP address, or ADDRESS:PORT.");
        });
        authority.Validators.Add(result =>
        {
            if (!AuthorityHash.IsValid(result.GetValueOrDefault<string>() ?? "")) result.AddError("--authority is 'sha256:' and 64 hexadecimal digits, as 'evenkeel token' prints it.");
        });
        var command = new DescribedCommand("join", "Makes this server a node of a cluster, with a token of that cluster.", """
            'evenkeel token NODE' on the first node prints the whole line. Then start its agent, as it says.
            The server makes its own private key, which never leaves it. It shows the token only to a node that the named
            authority has signed. Nothing is written when the token, the authority or the server is not the right one.
            With --renew, for a node whose certificate has ended, was revoked, or is of an authority that is no more:
            stop its agent, run the line, start the agent.
            """)
        { node, from, token, authority, state, link, renew };
        command.SetAction((parsed, cancellation) => RunAsync(
            parsed.GetRequiredValue(node), Endpoint(parsed.GetRequiredValue(from))!, parsed.GetRequiredValue(token), parsed.GetRequiredValue(authority),
            Path.GetFullPath(parsed.GetValue(state)!), parsed.GetValue(link), parsed.GetValue(renew), cancellation));
        return command;
    }

    private static async Task<int> RenewAsync(AgentConfiguration own, NodeName node, IPEndPoint from, string token, string authority, string state, CancellationToken cancellation)
    {
        if (own.Node != node)
        {
            throw new CommandFailedException(ExitCode.Refused, $"{state} is the state directory of {own.Node}, not of {node}; nothing was changed", $"evenkeel token {own.Node}");
        }

        if (AuthorityRecreation.Answers(own.ControlSocket))
        {
            throw new CommandFailedException(ExitCode.Refused, $"the agent of {node} runs; nothing was changed, and the token was not shown", "Stop it first: systemctl stop evenkeel");
        }

        await Applicant.RenewAsync(node, from, token, authority, Path.Combine(state, NodeSetup.CertificatesDirectory), cancellation).ConfigureAwait(false);
        OfflineAudit.Add(state, node, $"join {node} --from {from} --renew", Console.WriteLine);
        Console.WriteLine($"{node} has a new certificate ({state}).");
        Console.WriteLine($"Start it: {InitCommand.AgentLine(state)}");
        return ExitCode.Success;
    }

    private static IPEndPoint? Endpoint(string text) =>
        IPAddress.TryParse(text, out var address) ? new IPEndPoint(address, PrivatePorts.Enrolment)
        : IPEndPoint.TryParse(text, out var endpoint) && endpoint.Port != 0 ? endpoint : null;

    private static async Task<int> RunAsync(string node, IPEndPoint from, string token, string authority, string state, string? link, bool renew, CancellationToken cancellation)
    {
        try
        {
            if (renew)
            {
                return await RenewAsync(RecoverCommand.Load(state), new NodeName(node), from, token, authority, state, cancellation).ConfigureAwait(false);
            }

            var own = await Applicant.JoinAsync(new NodeName(node), from, token, authority, state, link, cancellation).ConfigureAwait(false);
            OfflineAudit.Add(state, own.Node, $"join {own.Node} --from {from}", Console.WriteLine);
            Console.WriteLine($"This server is {own.Node} of the cluster '{own.Cluster}' ({state}).");
            Console.WriteLine($"Start it: {InitCommand.AgentLine(state)}");
            return ExitCode.Success;
        }
        catch (SetupRefusedException exception)
        {
            throw new CommandFailedException(ExitCode.Refused, exception.Message, exception.Mend);
        }
        catch (LocalClusterException exception)
        {
            throw new CommandFailedException(ExitCode.Refused, exception.Message);
        }
        catch (EnrolmentFailedException exception)
        {
            throw new CommandFailedException(ExitCode.Failed, exception.Message, "Does its agent run, and does the private network reach it?");
        }
        catch (InvalidDataException exception)
        {
            throw new CommandFailedException(ExitCode.Failed, exception.Message);
        }
        catch (TokenSpentException exception)
        {
            throw new CommandFailedException(ExitCode.Failed, exception.Message, "Is the directory writable (root?), and is there room? The token is used up: make a new one");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException(ExitCode.Failed, exception.Message, "Is the directory writable (root?)? The token was not shown to anybody: it is still good");
        }
    }
}
