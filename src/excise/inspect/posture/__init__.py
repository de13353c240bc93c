"""What a program leaves open by how it is set up, rather than by where data flows.

Servers that anybody can call, evaluation behind a list of what is forbidden, checks that pass when they fail, secrets
that everybody on the machine can read, and agents whose tools together can read secrets and send them away.
"""
