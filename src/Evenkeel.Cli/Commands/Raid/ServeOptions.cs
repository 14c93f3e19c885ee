using System.CommandLine;
using System.Net;
using System.Net.Sockets;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary>Where and how an array is served; the same for <c>serve</c> and <c>assemble</c>.</summary>
internal sealed class ServeOptions
{
    private readonly Option<string?> _socket = new("--socket") { Description = "Listen on this Unix socket.", HelpName = "PATH" };
    private readonly Option<int?> _port = new("--port") { Description = "Listen on this TCP port.", HelpName = "PORT" };
    private readonly Option<string> _address = new("--address") { Description = "With --port: the address to listen on; other than loopback needs TLS.", HelpName = "IP", DefaultValueFactory = _ => "127.0.0.1" };
    private readonly Option<bool> _readOnly = new("--read-only") { Description = "Refuse writes of clients." };
    private readonly Option<long> _limit = new("--limit") { Description = "MiB a second for resync, rebuild and scrub; no limit when left out.", HelpName = "MIB" };
    private readonly Option<string?> _group = new("--spare-group") { Description = "Arrays of this machine with the same group lend each other hot spares.", HelpName = "NAME" };
    private readonly Option<bool> _direct = new("--direct") { Description = "Leave the page cache out for local members (O_DIRECT), where the device and io_uring allow it." };
    private readonly Option<bool> _force = RaidCommands.Force();

    public Argument<string[]> Members { get; } = RaidCommands.Members();

    public TlsFiles Tls { get; } = new();

    public void AddTo(Command command)
    {
        command.Arguments.Add(Members);
        foreach (var option in new Option[] { _socket, _port, _address, _readOnly, _limit, _group, _direct, _force }.Concat(Tls.Options)) command.Options.Add(option);
    }

    public bool IsReadOnly(ParseResult parsed) => parsed.GetValue(_readOnly);

    public bool Force(ParseResult parsed) => parsed.GetValue(_force);

    public long? Limit(ParseResult parsed) => parsed.GetValue(_limit) is > 0 and var mebibytes ? mebibytes << 20 : null;

    public string? SpareGroup(ParseResult parsed) => parsed.GetValue(_group);

    public bool IsDirect(ParseResult parsed) => parsed.GetValue(_direct);

    /// <param name="fallback">The Unix socket when nothing is said.</param>
    public EndPoint Endpoint(ParseResult parsed, string fallback)
    {
        if (parsed.GetValue(_port) is not { } port) return new UnixDomainSocketEndPoint(Path.GetFullPath(parsed.GetValue(_socket) ?? fallback));
        if (parsed.GetValue(_socket) is not null) throw new CommandFailedException(ExitCode.Usage, "Give either --socket or --port.");
        if (!IPAddress.TryParse(parsed.GetValue(_address), out var address)) throw new CommandFailedException(ExitCode.Usage, "--address is an IP address.");
        if (!IPAddress.IsLoopback(address) && !Tls.AreGiven(parsed))
            throw new CommandFailedException(ExitCode.Refused, $"{address} can be reached from elsewhere: whoever connects could read and write everything.", "Give --tls-cert, --tls-key and --tls-ca.");
        return new IPEndPoint(address, port);
    }

    public string Uri(ParseResult parsed, string name, EndPoint endpoint) => endpoint is UnixDomainSocketEndPoint
        ? $"{(Tls.AreGiven(parsed) ? "nbds" : "nbd")}+unix:///{System.Uri.EscapeDataString(name)}?socket={endpoint}"
        : $"{(Tls.AreGiven(parsed) ? "nbds" : "nbd")}://{endpoint}/{System.Uri.EscapeDataString(name)}";

    /// <summary>The same options and members as words, for another process.</summary>
    public IEnumerable<string> Words(ParseResult parsed)
    {
        if (parsed.GetValue(_socket) is { } socket) foreach (var word in new[] { _socket.Name, Path.GetFullPath(socket) }) yield return word;
        if (parsed.GetValue(_port) is { } port) foreach (var word in new[] { _port.Name, $"{port}", _address.Name, parsed.GetValue(_address)! }) yield return word;
        if (IsReadOnly(parsed)) yield return _readOnly.Name;
        if (Force(parsed)) yield return _force.Name;
        if (SpareGroup(parsed) is { } group) foreach (var word in new[] { _group.Name, group }) yield return word;
        if (IsDirect(parsed)) yield return _direct.Name;
        if (parsed.GetValue(_limit) is > 0 and var limit) foreach (var word in new[] { _limit.Name, $"{limit}" }) yield return word;
        foreach (var word in Tls.Words(parsed)) yield return word;
        foreach (var member in parsed.GetRequiredValue(Members)) yield return MemberDevices.Full(member);
    }
}
