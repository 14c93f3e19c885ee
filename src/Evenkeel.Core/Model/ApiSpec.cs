namespace Evenkeel.Core.Model;

/// <summary>Which of a node's addresses the control API is served on.</summary>
public enum ApiListen { Private, Public, Both }

/// <summary>The control API over TLS, for programs and people off the nodes; the local socket is there without it.</summary>
/// <param name="Port">TCP, the same on every node.</param>
public sealed record ApiSpec(int Port = ApiSpec.StandardPort, ApiListen Listen = ApiListen.Private)
{
    public const int StandardPort = 7807;
}
