using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Core.Loop.Ports;

/// <summary>The agent's side of its pipe to the guard.</summary>
public interface IGuardLink : IAsyncDisposable
{
    /// <summary>Called on the link's thread, in the order the guard sent.</summary>
    event Action<GuardMessage>? Received;

    /// <summary>The pipe broke; the guard may be gone. Raised once.</summary>
    event Action<string>? Broken;

    /// <summary>Never blocks; messages are delivered in order as long as the pipe lives.</summary>
    void Send(AgentMessage message);
}
