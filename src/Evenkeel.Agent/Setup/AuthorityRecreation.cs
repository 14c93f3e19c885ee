using System.Net;
using System.Net.Sockets;
using Evenkeel.Agent.Host;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Setup;

/// <summary>A new authority on a node whose agent is stopped: when the old one's key is lost and no two nodes accept each other any more.</summary>
public static class AuthorityRecreation
{
    /// <summary>Makes it, and this node's certificate; the old authority's files, where there are any, are put aside.</summary>
    /// <returns>The new authority's hash.</returns>
    /// <exception cref="SetupRefusedException">The node's agent runs; nothing was changed.</exception>
    /// <exception cref="IOException">Something cannot be written.</exception>
    public static string Run(AgentConfiguration configuration, string stateDirectory)
    {
        if (Answers(configuration.ControlSocket))
        {
            throw new SetupRefusedException($"the agent of {configuration.Node} runs", "Stop it first, and the agents of all other nodes: systemctl stop evenkeel");
        }

        var directory = Path.Combine(stateDirectory, NodeSetup.AuthorityDirectory);
        if (Directory.Exists(directory))
        {
            Directory.Move(directory, FormattableString.Invariant($"{directory}.before-{DateTime.UtcNow:yyyyMMdd'T'HHmmss.fff'Z'}"));
        }

        Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        using var authority = CertificateAuthority.Create(configuration.Cluster);
        authority.Save(directory);
        authority.IssueNode(configuration.Node, configuration.Private.Select(IPAddress.Parse), Path.Combine(stateDirectory, NodeSetup.CertificatesDirectory));
        return authority.Hash;
    }

    /// <summary>An agent answers on this socket.</summary>
    public static bool Answers(string controlSocket)
    {
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Connect(new UnixDomainSocketEndPoint(controlSocket));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
